"""Few vectors in a space of many dimensions, in coordinates of what they span."""

import torch
from torch import Tensor


def span(F: Tensor) -> Tensor | None:
    """Return an orthonormal basis of what the vectors of each draw span, or None where that is no smaller.

    A gradient of anything that sees F by products with coefficients lies in this span. What is learnt from F by
    gradient steps from 0, or from means of F, never leaves it, and can be learnt in its coordinates.

    Args:
        F: (B, n, d).

    Returns:
        (B, d, n) where n < d.
    """
    return torch.linalg.qr(F.mT).Q if F.shape[1] < F.shape[2] else None


def within(basis: Tensor | None, X: Tensor) -> Tensor:
    """Return the coordinates (B, m, r) of vectors (B, m, d)."""
    return X if basis is None else X @ basis


def back(basis: Tensor | None, coordinates: Tensor) -> Tensor:
    """Return the vectors (B, m, d) that have these coordinates (B, m, r)."""
    return coordinates if basis is None else coordinates @ basis.mT
