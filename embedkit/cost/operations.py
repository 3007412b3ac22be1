"""Multiply-adds, counted from the shapes of what torch computes, on any machine the same."""

from collections.abc import Callable, Sequence
from math import prod


def count_multiply_adds(forward: Callable[[], object]) -> int | None:
    """Return the multiply-adds of the convolutions, matrix products and attention that torch does in ``forward``.

    None where it did none: what another library computes can't be seen. What is done number by number
    (normalisation, activation) is not counted, as is the custom of published figures.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # torch knows its own operations; of oneDNN's it must be told the one that a linear layer in bf16 may be.
    linear = {torch.ops.mkldnn._linear_pointwise: _of_linear} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else {}
    with FlopCounterMode(display=False, custom_mapping=linear) as counter:
        forward()
    # torch counts the multiplication and the addition as two.
    return counter.get_total_flops() // 2 or None


def _of_linear(rows: Sequence[int], weight: Sequence[int], *_: object, **__: object) -> int:
    """Return twice the multiply-adds of rows (…, k) by a weight (n, k), from the shapes."""
    return 2 * prod(rows) * weight[0]
