"""Vectors as directions: what is compared by cosines has length 1."""

import numpy as np

from embedkit.errors import EmbedkitError


def unit(X: np.ndarray) -> np.ndarray:
    """Return vectors (…, d) at length 1, in double precision.

    Raises:
        EmbedkitError: a vector of length 0, which has no direction.
    """
    X = np.asarray(X, np.float64)
    length = np.linalg.norm(X, axis=-1, keepdims=True)
    if not length.all():
        raise EmbedkitError("an embedding is 0 in all dimensions and has no direction: extract it again")
    return np.asarray(X / length)
