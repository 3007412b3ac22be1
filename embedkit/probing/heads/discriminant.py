"""Linear discriminant analysis with a shrunk covariance, for several shrinkages of one covariance.

The pooled covariance S becomes (1 - s) S + s mu I, mu the mean variance (Ledoit and Wolf 2004), as in scikit-learn's
``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)``; it has an inverse for fewer rows than features too.
"""

from collections.abc import Iterator, Sequence

import numpy as np

# Rows that are in double precision at one time.
_BLOCK = 1024
# What is left of a scatter, as a part of what it is the difference of, when nothing is.
_ROUNDING = 1e-10


def solve(
    X: np.ndarray,
    rows: np.ndarray,
    truth: np.ndarray,
    exclusive: bool,
    weights: np.ndarray | None,
    shrinkages: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Fit Gaussian classes that share a covariance.

    Args:
        X: (n, d). rows: (r,) positions of the fitted ones. truth: (r, K) of 1, 0 or NaN (not judged).
        exclusive: classes, not labels.
        weights: (r,), or (r, K) of labels, that depend on the class alone; balanced weights are equal priors.
        shrinkages: above 0 and up to 1.

    Returns:
        Coefficients (V, K, d) and intercepts (V, K) of ``X @ coef.T + intercept``: log posteriors of the classes up to
        a constant of each image, -s and s for two classes, log odds for labels. A class that no row has gets the
        intercept -inf; a label that all rows have, or none, the constant 1 or -1.
    """
    coef = np.zeros((len(shrinkages), truth.shape[1], X.shape[1]))
    if not exclusive:
        intercept = np.empty((len(shrinkages), truth.shape[1]))
        for k, fit in enumerate(_labels(X, rows, truth, weights)):
            if isinstance(fit, float):
                intercept[:, k] = fit
            else:
                both, constants = _discriminants(*fit, shrinkages)
                coef[:, k], intercept[:, k] = both[:, 1] - both[:, 0], constants[:, 1] - constants[:, 0]
        return coef, intercept
    intercept = np.full((len(shrinkages), truth.shape[1]), -np.inf)
    present, codes = np.unique(truth.argmax(axis=1), return_inverse=True)
    mass = np.bincount(codes, weights)
    means, scatter = _moments(X, rows, codes, mass / np.bincount(codes))
    coef[:, present], intercept[:, present] = _discriminants(means, scatter / mass.sum(), mass, shrinkages)
    if truth.shape[1] == len(present) == 2:
        coef, intercept = coef - coef[:, ::-1], intercept - intercept[:, ::-1]
    return coef, intercept


def _labels(
    X: np.ndarray, rows: np.ndarray, truth: np.ndarray, weights: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray] | float]:
    """Yield for each label means (2, d), covariance (d, d) and mass (2,) of those without and with it, or a constant.

    Neighbouring labels that are judged on the same rows share their scatter: of each only the rarer side is computed.
    """
    before = np.empty(0, np.int64)
    for k, column in enumerate(truth.T):
        judged = np.flatnonzero(~np.isnan(column))
        codes = column[judged].astype(int)
        counts = np.bincount(codes, minlength=2)
        if not counts.all():
            yield 1.0 if counts[1] else -1.0
            continue
        if not np.array_equal(judged, before):
            centre, total = _moments(X, rows[judged], np.zeros(len(judged), np.int64), np.ones(1))
            before = judged
        rare, n = int(counts.argmin()), len(judged)
        side = rows[judged[codes == rare]]
        mean, own = _moments(X, side, np.zeros(len(side), np.int64), np.ones(1))
        means = np.empty((2, X.shape[1]))
        means[rare] = mean[0]
        means[1 - rare] = (n * centre[0] - counts[rare] * mean[0]) / counts[1 - rare]
        away = means[1] - means[0]
        others = total - own - counts.prod() / n * np.outer(away, away)
        if np.trace(own + others) <= _ROUNDING * np.trace(total):
            own, others = np.zeros_like(own), np.zeros_like(own)
        mass = counts if weights is None else np.bincount(codes, weights[judged, k])
        each = mass / counts
        yield means, (each[rare] * own + each[1 - rare] * others) / mass.sum(), mass


def _moments(X: np.ndarray, rows: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of the classes 0..K-1, (K, d), and the scatter within them, (d, d).

    Args:
        codes: (r,) class of each of ``rows``. weight: (K,) of a row of each class.
    """
    classes, d = len(weight), X.shape[1]
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]
    means = np.zeros((classes, d))
    for block in blocks:
        means += np.eye(classes)[:, codes[block]] @ X[rows[block]].astype(np.float64)
    means /= np.bincount(codes)[:, None]
    scatter, root = np.zeros((d, d)), np.sqrt(weight)
    for block in blocks:
        own = codes[block]
        away = (X[rows[block]] - means[own]) * root[own, None]
        scatter += away.T @ away
    return means, scatter


def _discriminants(
    means: np.ndarray, covariance: np.ndarray, mass: np.ndarray, shrinkages: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import solve as solve_linear

    d = len(covariance)
    variance = np.trace(covariance) / d
    if variance <= (_ROUNDING * np.abs(means).max()) ** 2:
        # No class varies: nothing is known of directions, and the nearest mean decides.
        covariance, variance = np.eye(d), 1.0
    priors = mass / mass.sum()
    centre = priors @ means
    coef, intercept = np.empty((len(shrinkages), *means.shape)), np.empty((len(shrinkages), len(means)))
    for number, shrinkage in enumerate(shrinkages):
        shrunk = (1 - shrinkage) * covariance
        shrunk[np.diag_indices(d)] += shrinkage * variance
        coef[number] = solve_linear(shrunk, (means - centre).T, assume_a="pos").T
        # The log posterior of x under a class, less what all classes have in common.
        intercept[number] = np.log(priors) - np.einsum("kd,kd->k", coef[number], (means + centre) / 2)
    return coef, intercept
