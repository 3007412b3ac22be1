"""Features of mean 0 and deviation 1 over the training rows, and only over them."""

import numpy as np

# A spread of two units in the last place of the mean, in single precision, is rounding.
_ROUNDING = 2 * float(np.finfo(np.float32).eps)


def standardised(X: np.ndarray, X_new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale features to mean 0 and deviation 1 over ``X``; a constant feature becomes 0 in both.

    Args:
        X: (n, d) float32, overwritten. X_new: (m, d) float32, overwritten.

    Returns:
        The two, as they were given.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    shift = mean.astype(np.float32)
    X -= shift
    # A mean far from 0 is rounded to single precision before it is taken off; what that left is small, and exact.
    rest = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    X -= rest
    deviation = np.sqrt(np.einsum("nd,nd->d", X, X, dtype=np.float64) / len(X))
    moves = deviation > np.maximum(_ROUNDING * np.abs(mean), np.finfo(np.float32).tiny)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moves).astype(np.float32)
    X *= scale
    X_new -= shift
    X_new -= rest
    X_new *= scale
    return X, X_new
