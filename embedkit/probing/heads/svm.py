"""Support vector machines, one against the rest, on a kernel that is computed once for all classes and values of C.

A multiclass SVM that votes between pairs ranks badly; the margin of one class against all others is a score.
"""

from collections.abc import Sequence

import numpy as np

# Beyond this many steps libsvm is turning on the spot; it needs some 10,000 for 5,000 images.
STEPS = 1_000_000
_CACHE_MB = 500


def linear_kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return x.y / d, shape (len(A), len(B)): divided by the features, C means the same for every encoder."""
    kernel: np.ndarray = A @ B.T / A.shape[1]
    return kernel


def rbf_kernel(A: np.ndarray, B: np.ndarray, gamma: float) -> np.ndarray:
    """Return exp(-gamma |x - y|^2), shape (len(A), len(B))."""
    squares = [np.einsum("nd,nd->n", M, M) for M in (A, B)]
    distance = squares[0][:, None] + squares[1] - 2 * (A @ B.T)
    kernel: np.ndarray = np.exp(-gamma * np.maximum(distance, 0))
    return kernel


def solve(
    kernel: np.ndarray, truth: np.ndarray, exclusive: bool, Cs: Sequence[float], weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one machine per class (or label) and value of C.

    Args:
        kernel: (n, n) between the training rows. truth: (n, K) of 1, 0 or NaN (not judged). Cs: rising.
        weights: (n,), or (n, K) of labels, that multiply C; None for 1.

    Returns:
        Dual coefficients (C, K, n) and intercepts (C, K) of ``kernel(new, train) @ dual.T + intercept``. A class
        that no row has gets the intercept -inf; a label that all rows have, or none, the constant 1 or -1.
    """
    kernel = np.ascontiguousarray(kernel, dtype=np.float64)
    if weights is None:
        weights = np.ones(len(truth))
    if weights.ndim == 1:
        weights = np.broadcast_to(weights[:, None], truth.shape)
    if exclusive and truth.shape[1] == 2:
        dual, intercept = solve(kernel, truth[:, 1:], False, Cs, weights[:, 1:])
        return np.concatenate([-dual, dual], axis=1), np.concatenate([-intercept, intercept], axis=1)
    columns = [_one_against_rest(kernel, truth[:, k], Cs, weights[:, k]) for k in range(truth.shape[1])]
    dual, intercept = np.stack([a for a, _ in columns], axis=1), np.stack([b for _, b in columns], axis=1)
    if exclusive:
        intercept[:, ~truth.any(axis=0)] = -np.inf
    return dual, intercept


def _one_against_rest(
    kernel: np.ndarray, truth: np.ndarray, Cs: Sequence[float], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.svm import SVC

    rows = np.flatnonzero(~np.isnan(truth))
    held, weights = truth[rows], weights[rows]
    dual, intercept = np.zeros((len(Cs), len(truth))), np.full(len(Cs), 1.0 if held.any() else -1.0)
    if len(np.unique(held)) < 2:
        return dual, intercept
    judged = kernel if len(rows) == len(truth) else kernel[np.ix_(rows, rows)]
    cache = min(_CACHE_MB, 1 + 4 * len(rows) ** 2 / 2**20)
    for number, C in enumerate(Cs):
        machine = SVC(C=C, kernel="precomputed", cache_size=cache, max_iter=STEPS).fit(judged, held, weights)
        dual[number, rows[machine.support_]] = machine.dual_coef_[0]
        intercept[number] = machine.intercept_[0]
        if (np.abs(machine.dual_coef_[0]) < C * weights[machine.support_] * (1 - 1e-9)).all():
            # No image is held back by C, so a larger one changes nothing.
            dual[number:], intercept[number:] = dual[number], intercept[number]
            break
    return dual, intercept
