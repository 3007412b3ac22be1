"""Run a torch model on a batch of uint8 images: normalise, compute, back to float32."""

from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from embedkit.encoders.backends import Run


def check_device(device: str) -> None:
    """Raise EmbedkitError unless torch can compute on the device here."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).split("\n")[0]
        raise EmbedkitError(f"cannot compute on the device '{device}' ({reason}): use cpu") from error


def runner(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> "Run":
    """Return the function that embeds a batch, (n, *shape) uint8 to (n, dim) float32."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    _cast(model, dtype)
    # Convolutions are faster with the channels last, and a batch of images arrives in that order.
    model = model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
    on_gpu = mean.is_cuda

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.require(batch, requirements=("C", "W")))
        if on_gpu:
            pixels = pixels.pin_memory()
        # TF32 would make fp32 on a GPU a third precision, which the cache key does not know of.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact if on_gpu else nullcontext():
            images = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
            if preprocessing.stretch:
                images -= images.amin((1, 2, 3), keepdim=True)
                # An image of one value is all 0, not a division by nothing.
                images *= 255 / images.amax((1, 2, 3), keepdim=True).clamp(min=1)
            output = model(images.div_(255).sub_(mean).div_(std).to(dtype))
            # A CoCa tower gives its tokens too, after the pooled vector.
            vectors = output[0] if isinstance(output, tuple) else output
            result: NDArray[np.float32] = vectors.float().cpu().numpy()
            return result

    return run


def _cast(model: "nn.Module", dtype: "torch.dtype") -> None:
    """Change the precision of a model, except of batch normalisation.

    Its running statistics in bf16 would cost more accuracy than all the rest (ResNet-50: 1 - cosine with fp32 of
    .0003 instead of .00008), and every backend takes them in float32 beside a bf16 input.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    for module in model.modules():
        if not isinstance(module, _BatchNorm):
            for tensor in chain(module.parameters(recurse=False), module.buffers(recurse=False)):
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
