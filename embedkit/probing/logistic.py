"""Multinomial logistic regression with an L2 penalty, for several values of C at once.

`solve` is all that the head knows of it, so that another solver can stand in its place.
"""

from collections.abc import Sequence

import numpy as np

# At scikit-learn's default of 1e-4 probabilities are off by up to 0.1 and it says that it converged.
TOLERANCE = 1e-6
ITERATIONS = 5000


def solve(X: np.ndarray, truth: np.ndarray, exclusive: bool, Cs: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Minimise C * (sum of log losses) + |w|^2 / 2 for each C; the intercept is not penalised.

    Args:
        X: (n, d). truth: (n, K) of 1, 0 or NaN (not judged). exclusive: one softmax over the classes, or a sigmoid
            for each label. Cs: rising, since each solution starts the next.

    Returns:
        Coefficients (C, K, d) and intercepts (C, K) of ``X @ coef.T + intercept``. A class that no row has gets the
        intercept -inf; a label that all rows have, or none, gets the constant 1 or -1.
    """
    if len(X) < X.shape[1]:
        # The solution lies in the span of the rows (representer theorem): n numbers say as much as d, and sooner.
        basis = _span(X)
        coef, intercept = solve(X @ basis, truth, exclusive, Cs)
        return coef @ basis.T, intercept
    if exclusive:
        return _classes(X, truth.argmax(axis=1), truth.shape[1], Cs)
    columns = [_label(X, truth[:, k], Cs) for k in range(truth.shape[1])]
    return np.stack([coef for coef, _ in columns], axis=1), np.stack([b for _, b in columns], axis=1)


def _classes(X: np.ndarray, codes: np.ndarray, classes: int, Cs: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    coef, intercept = np.zeros((len(Cs), classes, X.shape[1])), np.full((len(Cs), classes), -np.inf)
    present = np.unique(codes)
    if len(present) == 1:
        intercept[:, present] = 0.0
        return coef, intercept
    for number, (w, b) in enumerate(_path(X, codes, Cs)):
        # Two classes share one vector, which says how much more likely the second is than the first.
        both = (np.vstack([-w, w]), np.append(-b, b)) if len(present) == 2 else (w, b)
        coef[number, present], intercept[number, present] = both
    return coef, intercept


def _label(X: np.ndarray, truth: np.ndarray, Cs: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    judged = ~np.isnan(truth)
    held = truth[judged]
    if len(np.unique(held)) < 2:
        constant = 1.0 if held.any() else -1.0
        return np.zeros((len(Cs), X.shape[1])), np.full(len(Cs), constant)
    found = _path(X if judged.all() else X[judged], held, Cs)
    return np.stack([w[0] for w, _ in found]), np.stack([b[0] for _, b in found])


def _path(X: np.ndarray, y: np.ndarray, Cs: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.linear_model import LogisticRegression

    # In single precision the loss is too coarse for the small steps of a small C: the solver stops short.
    X = X.astype(np.float64)
    shares = np.log(np.unique(y, return_counts=True)[1] / len(y))
    start = shares - shares.mean() if len(shares) > 2 else shares[1:] - shares[:1]
    model = LogisticRegression(tol=TOLERANCE, max_iter=ITERATIONS, warm_start=True)
    # With no weights yet the classes' shares are the best intercepts; from 0 they take the solver 100 steps to find.
    model.coef_, model.intercept_ = np.zeros((len(start), X.shape[1])), start
    found = []
    for C in Cs:
        model.set_params(C=C).fit(X, y)
        found.append((model.coef_.copy(), model.intercept_.copy()))
    return found


def _span(X: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (d, r) of the rows of X, r <= n."""
    values, vectors = np.linalg.eigh((X @ X.T).astype(np.float64))
    kept = values > values[-1] * len(X) * np.finfo(np.float32).eps
    basis = X.T.astype(np.float64) @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.linalg.qr(basis)[0].astype(X.dtype)
