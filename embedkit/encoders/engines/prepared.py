"""A model with what is done to the pixels before it, as one torch module: every engine computes the same."""

from itertools import chain

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from embedkit.encoders.preprocess import Preprocessing


class Prepared(nn.Module):
    """From uint8 pixels (n, h, w, 3) to vectors (n, dim) float32: normalise, compute, back to float32."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model, self.dtype, self.stretch = model, dtype, preprocessing.stretch
        _cast(model, dtype)
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))
        # Convolutions are faster with the channels last, and a batch of images arrives in that order.
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the vectors of a batch."""
        images = pixels.permute(0, 3, 1, 2).float()
        if self.stretch:
            images = images - images.amin((1, 2, 3), keepdim=True)
            # An image of one value is all 0, not a division by nothing.
            images = images * (255 / images.amax((1, 2, 3), keepdim=True).clamp(min=1))
        output = self.model(((images / 255 - self.mean) / self.std).to(self.dtype))
        # A CoCa tower gives its tokens too, after the pooled vector.
        vectors: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return vectors.float()


def _cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Change the precision of a model, except of batch normalisation.

    Its running statistics in bf16 would cost more accuracy than all the rest (ResNet-50: 1 - cosine with fp32 of
    .0003 instead of .00008), and every backend takes them in float32 beside a bf16 input.
    """
    for module in model.modules():
        if not isinstance(module, _BatchNorm):
            for tensor in chain(module.parameters(recurse=False), module.buffers(recurse=False)):
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
