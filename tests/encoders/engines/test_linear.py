"""Linear layers that add their bias in the product give the bits of torch's, and only those are turned that can be."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from embedkit.cost import count_multiply_adds
from embedkit.encoders import engines
from embedkit.encoders.engines.linear import BiasInProduct, add_biases_in_products
from embedkit.encoders.preprocess import Preprocessing

bf16_here = pytest.mark.skipif(
    not (hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="oneDNN has no bf16 on this processor",
)
PREPROCESSING = Preprocessing(16, 16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))


@bf16_here
@pytest.mark.parametrize("shape", [(64,), (3, 64), (2, 197, 64), (2, 3, 5, 64)])
def test_the_bits_are_those_of_torch(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, given = nn.Linear(64, 33).bfloat16(), torch.randn(shape).bfloat16()
    with torch.inference_mode():
        wanted = layer(given)
        assert isinstance(add_biases_in_products(layer), BiasInProduct)
        assert torch.equal(layer(given), wanted)
        # A view that isn't contiguous, such as the first token of each image.
        assert torch.equal(layer(given.mT.contiguous().mT if given.dim() > 1 else given), wanted)


@bf16_here
def test_what_cannot_be_turned_is_left() -> None:
    class Other(nn.Linear):
        """A layer of somebody else's."""

    model = nn.ModuleDict(
        {
            "exact": nn.Linear(8, 8),
            "without": nn.Linear(8, 8, bias=False).bfloat16(),
            "other": Other(8, 8).bfloat16(),
            "attention": nn.MultiheadAttention(8, 2).bfloat16(),
            "turned": nn.Linear(8, 8).bfloat16(),
        }
    )
    before = {name: type(layer) for name, layer in model.named_modules()}
    add_biases_in_products(model)
    changed = {name for name, layer in model.named_modules() if type(layer) is not before[name]}
    assert changed == {"turned"}


@bf16_here
def test_the_engine_torch_has_them_on_a_processor(noise: Callable[[int, int], np.ndarray]) -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.GELU(), nn.Linear(8, 8))

    model = build()
    engines.start("torch", lambda: model, PREPROCESSING, "bf16", "cpu").run(noise(2, 16))
    assert [type(layer) for layer in model] == [nn.Flatten, BiasInProduct, nn.GELU, BiasInProduct]
    left = build()
    engines.start("torch", lambda: left, PREPROCESSING, "fp32", "cpu").run(noise(2, 16))
    assert [type(layer) for layer in left] == [nn.Flatten, nn.Linear, nn.GELU, nn.Linear]


@bf16_here
def test_its_multiply_adds_are_counted() -> None:
    layer, given = add_biases_in_products(nn.Linear(64, 33).bfloat16()), torch.zeros(2, 5, 64).bfloat16()
    with torch.inference_mode():
        assert count_multiply_adds(lambda: layer(given)) == 2 * 5 * 64 * 33
