"""Few vectors in a space of many dimensions, in coordinates of what they span."""

import torch
from torch import Tensor


def in_span(F: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return vectors in coordinates of an orthonormal basis of the span of F, where that has fewer dimensions.

    A gradient of anything that sees F by its products alone lies in this span, so what is learnt from F by gradient
    steps is the same in these coordinates, up to what it does not see.

    Args:
        F: (B, n, d). others: (B, m, d).

    Returns:
        F and the others, (B, n, r) and (B, m, r) with r = min(n, d).
    """
    n, d = F.shape[1:]
    if n >= d:
        return F, *others
    basis = torch.linalg.qr(F.mT).Q
    return F @ basis, *(other @ basis for other in others)
