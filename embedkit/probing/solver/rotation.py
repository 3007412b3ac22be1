"""Embeddings in their principal axes, where the Hessian of a logistic loss is close to diagonal.

A rotation leaves an L2 penalty as it is, so the solution is the same one in other coordinates.
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.blocks import Blocks


@dataclass(frozen=True)
class Axes:
    """The way back from rotated coordinates.

    Attributes:
        mean: (d,) of the embeddings. basis: (d, r) with orthonormal columns, r = min(n, d).
    """

    mean: np.ndarray
    basis: np.ndarray

    def back(self, coef: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients (..., d) and intercepts (...) that give the same scores on the embeddings themselves.

        Args:
            coef: (..., r) on rotated, centred embeddings. intercept: (...).
        """
        rotated = (coef.reshape(-1, coef.shape[-1]) @ self.basis.T.astype(np.float64)).reshape(*coef.shape[:-1], -1)
        return rotated, intercept - rotated @ self.mean


def principal_axes(X: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, Axes]:
    """Centre ``X`` and rotate it.

    Args:
        X: (n, d). blocks: of its rows.

    Returns:
        (n, r + 1) float32, the axes by rising variance and then a column of ones, and the way back.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    span = None
    if len(X) < X.shape[1]:
        # The solution lies in the span of the rows (representer theorem): n numbers say as much as d, and sooner.
        span = np.linalg.qr((X - mean).T)[0]

    def centred(rows: slice) -> np.ndarray:
        block = (X[rows] - mean).astype(np.float32)
        return block if span is None else np.asarray(block @ span, np.float32)

    basis = _eigenvectors(blocks.gram(centred, X.shape[1] if span is None else span.shape[1]))
    Z = np.ones((len(X), basis.shape[1] + 1), np.float32)

    def rotate(rows: slice) -> None:
        Z[rows, :-1] = centred(rows) @ basis

    blocks.each(rotate)
    return Z, Axes(mean, basis if span is None else span @ basis)


def _eigenvectors(gram: np.ndarray) -> np.ndarray:
    from scipy.linalg import eigh

    basis: np.ndarray = eigh(gram, lower=True, driver="evd", check_finite=False, overwrite_a=True)[1]
    return basis
