"""DeLong's variance of AUCs of independent images, without resampling.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); the fast form after Sun and Xu, IEEE Signal Process.
Lett. 21 (2014). Images of one patient are not independent: for these use the cluster bootstrap.
"""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class DeLong:
    """AUCs of M scores of the same images and their covariance.

    Attributes:
        aucs: (M,). covariance: (M, M). NaN where a side is empty; the covariance also where a side has one image.
    """

    aucs: np.ndarray
    covariance: np.ndarray

    def interval(self, m: int = 0) -> tuple[float, float] | tuple[None, None]:
        """Return the 95 % interval of one AUC, symmetric on the logit scale, so that it stays within 0..1.

        None where there is no variance: an AUC of exactly 0 or 1 has none, and that is no sign that it is certain.
        """
        from scipy.special import expit, logit

        value, variance = self.aucs[m], self.covariance[m, m]
        if not (variance > 0 and 0 < value < 1):
            return None, None
        half = _quantile() * np.sqrt(variance) / (value * (1 - value))
        return float(expit(logit(value) - half)), float(expit(logit(value) + half))

    def difference(self, a: int = 0, b: int = 1) -> tuple[float, float | None, float | None, float | None]:
        """Return AUC a - AUC b, its 95 % interval (symmetric, of the normal distribution) and the two-sided p.

        Two rankings that are the same differ by 0 with p = 1; of others without variance interval and p are None.
        """
        from scipy.special import ndtr

        value = float(self.aucs[a] - self.aucs[b])
        contrast = np.zeros(len(self.aucs))
        contrast[a] += 1
        contrast[b] -= 1
        variance = contrast @ self.covariance @ contrast
        # What is left of equal terms after subtraction is rounding, not variance.
        if not variance > 1e-14:
            return (value, value, value, 1.0) if value == 0 else (value, None, None, None)
        error = np.sqrt(variance)
        half = _quantile() * error
        return value, float(value - half), float(value + half), float(2 * ndtr(-abs(value) / error))


def delong(positive: np.ndarray, scores: np.ndarray) -> DeLong:
    """Return the AUCs of one or several scores of the same images with their covariance.

    Args:
        positive: (n,) of bool. scores: (n,) or (n, M), the higher the more likely; ties count one half.
    """
    from scipy.stats import rankdata

    scores = scores[:, None] if scores.ndim == 1 else scores
    positives, negatives = scores[positive], scores[~positive]
    m, n = len(positives), len(negatives)
    if not (m and n):
        return DeLong(np.full(scores.shape[1], np.nan), np.full((scores.shape[1],) * 2, np.nan))
    ranks = rankdata(scores, axis=0)
    won = (ranks[positive] - rankdata(positives, axis=0)) / n
    lost = 1 - (ranks[~positive] - rankdata(negatives, axis=0)) / m
    return DeLong(won.mean(axis=0), _covariance(won) / m + _covariance(lost) / n)


def _covariance(parts: np.ndarray) -> np.ndarray:
    if len(parts) < 2:
        return np.full((parts.shape[1],) * 2, np.nan)
    return np.atleast_2d(np.cov(parts, rowvar=False))


def _quantile() -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + LEVEL) / 2))
