"""Features of mean 0 and deviation 1 over the training rows, and only over them."""

from dataclasses import dataclass

import numpy as np

# A spread of two units in the last place of the mean, in single precision, is rounding.
_ROUNDING = 2 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Standard:
    """What is taken off features, and what they are then multiplied by.

    Attributes:
        shift, rest, scale: (d,) float32. A mean far from 0 is rounded to single precision before it is taken off; what
            that leaves is small, and exact.
    """

    shift: np.ndarray
    rest: np.ndarray
    scale: np.ndarray

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return X (m, d) float32, overwritten."""
        X -= self.shift
        X -= self.rest
        X *= self.scale
        return X


def standardise(X: np.ndarray) -> Standard:
    """Shift and scale features to mean 0 and deviation 1; a constant feature becomes 0.

    Args:
        X: (n, d) float32, overwritten.

    Returns:
        What does the same to others.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    shift = mean.astype(np.float32)
    X -= shift
    rest = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    X -= rest
    deviation = np.sqrt(np.einsum("nd,nd->d", X, X, dtype=np.float64) / len(X))
    moves = deviation > np.maximum(_ROUNDING * np.abs(mean), np.finfo(np.float32).tiny)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moves).astype(np.float32)
    X *= scale
    return Standard(shift, rest, scale)
