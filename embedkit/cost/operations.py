"""Multiply-adds, counted from the shapes of what torch computes, on any machine the same."""

from collections.abc import Callable


def count_multiply_adds(forward: Callable[[], object]) -> int | None:
    """Return the multiply-adds of the convolutions, matrix products and attention that torch does in ``forward``.

    None where it did none: what another library computes can't be seen. What is done number by number
    (normalisation, activation) is not counted, as is the custom of published figures.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        forward()
    # torch counts the multiplication and the addition as two.
    return counter.get_total_flops() // 2 or None
