"""Linear layers in bf16 on a processor: oneDNN adds the bias where it makes the product, to the same bits.

Torch copies the bias into every row first and adds the product to it: of a ViT-B/16 that took a tenth of the time.
"""

import torch
from torch import nn


class BiasInProduct(nn.Linear):
    """A linear layer that reads and writes its result once; it has the weights of the layer that it was."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  (the name that it has in torch)
        """Return ``input @ weight.T + bias``, (…, out_features)."""
        # What torch.compile itself calls for a linear layer whose weights it may take for constant.
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return product


def add_biases_in_products(model: nn.Module) -> nn.Module:
    """Turn the linear layers of a model in bf16 on a processor into `BiasInProduct`, and return it.

    Layers of other kinds and precisions, subclasses, and processors for which oneDNN has no bf16 are left as they are.
    """
    if not (hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return model
    for layer in model.modules():
        if type(layer) is nn.Linear and layer.bias is not None and layer.weight.dtype == torch.bfloat16:
            layer.__class__ = BiasInProduct
    return model
