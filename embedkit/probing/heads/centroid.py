"""The nearest centroid by cosine similarity: nothing to choose, nothing to converge."""

import numpy as np


def solve(X: np.ndarray, rows: np.ndarray, truth: np.ndarray, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Find the mean direction of each class.

    Args:
        X: (n, d). rows: (r,) positions of the fitted ones. truth: (r, K) of 1, 0 or NaN (not judged).
        exclusive: classes, not labels.

    Returns:
        Coefficients (K, d) and intercepts (K,) of ``unit(X) @ coef.T + intercept``: how much more similar an image is
        to a class than to the others on average, for labels to the images that have it than to those that don't. A
        class that no row has gets the intercept -inf; a label that all rows have, or none, the constant 1 or -1.
    """
    if not exclusive:
        has, lacks = np.equal(truth, 1), np.equal(truth, 0)
        varies = np.asarray(has.any(axis=0) & lacks.any(axis=0))
        coef = (_centroids(X, rows, has) - _centroids(X, rows, lacks)) * varies[:, None]
        return coef, np.where(varies, 0.0, np.where(has.any(axis=0), 1.0, -1.0))
    centroids, present = _centroids(X, rows, truth), np.asarray(truth.any(axis=0))
    others = max(present.sum() - 1, 1)
    coef = (centroids - (centroids.sum(axis=0) - centroids) / others) * present[:, None]
    return coef, np.where(present, 0.0, -np.inf)


def unit(X: np.ndarray) -> np.ndarray:
    """Return rows of length 1; a row of zeros stays one."""
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(norms, norms, 1))


def _centroids(X: np.ndarray, rows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the direction of the mean of the members' directions, (K, d).

    Args:
        members: (r, K) of 1 and 0.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))
    # One product over all of X makes no copy of the fitted rows.
    shares = np.zeros((len(X), members.shape[1]), X.dtype)
    shares[rows] = members / np.where(norms, norms, 1)[rows, None]
    return unit((shares.T @ X).astype(np.float64))
