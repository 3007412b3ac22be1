"""What a threshold does in the clinic: sensitivity at a specificity, specificity at a sensitivity, net benefit.

Source of net benefit: Vickers and Elkin, Decision Curve Analysis, Med. Decis. Making 26 (2006).
"""

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.metrics import Judged, mean_over_folds
from embedkit.probing.measures.ranking import Ranked, columns, mean_of_defined, ratio

THRESHOLDS = np.arange(1, 100) / 100


def operating_points(judged: Judged, W: np.ndarray, specificity: float, sensitivity: float) -> np.ndarray:
    """Return points of the empirical ROC curve under each weighting, (R, 2 + 2K).

    An image is called positive from some score on. The sensitivity at a specificity is the highest among the thresholds
    whose specificity is at least that, and the other way round; nothing is interpolated. Each replicate has thresholds
    of its own, so an interval includes that the threshold is not known beforehand. Several folds have thresholds of
    their own too, and the mean over them is returned.

    Of the two bootstrap intervals the percentile one is for these numbers: the jackknife behind BCa does not hold for
    thresholds, which are quantiles.

    Args:
        judged: n images, K classes (one-vs-rest) or labels. W: (R, n), counts or weights.
        specificity, sensitivity: what is asked, above 0 and at most 1.

    Returns:
        The sensitivity, then the specificity, each the mean over classes or labels (of two exclusive classes that of
        the second, the positive one); then the sensitivity of each class and the specificity of each class. NaN where a
        side has no weight.

    Raises:
        EmbedkitError: an asked number is not a share.
    """
    for name, asked in (("specificity", specificity), ("sensitivity", sensitivity)):
        if not 0 < asked <= 1:
            raise EmbedkitError(f"the {name} {asked:g} is no share: give a number above 0 and at most 1, such as 0.9")
    points = mean_over_folds(judged.rankings, columns(W), lambda ranked: _points(ranked, specificity, sensitivity))
    macro = points[:, 1] if judged.two_classes else mean_of_defined(points.swapaxes(1, 2))
    return np.column_stack([macro, points[..., 0], points[..., 1]])


def net_benefit(truth: np.ndarray, probability: np.ndarray, thresholds: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return the net benefit of treating whoever has at least the threshold's probability, (R, T).

    True positives less false positives times the odds of the threshold, per image. Treating none has 0 everywhere.

    Args:
        truth: (n,) of 1, 0 or NaN (not judged). probability: (n,), of the same.
        thresholds: (T,), rising, above 0 and below 1.
        W: (R, n), counts or weights.
    """
    from scipy.sparse import csr_array

    kinds = len(thresholds) + 1
    known = np.flatnonzero(~np.isnan(truth))
    # Counted once, by how many thresholds an image reaches; who is treated at one are those of its place and above.
    place = np.searchsorted(thresholds, probability[known], side="right") + kinds * (truth[known] == 1)
    counted = csr_array((np.ones(len(known), np.float32), (place, known)), shape=(2 * kinds, len(truth)))
    negatives, positives = (counted @ columns(W)).astype(np.float64).reshape(2, kinds, -1)
    false, true = (side[::-1].cumsum(axis=0)[::-1][1:] for side in (negatives, positives))
    odds = (thresholds / (1 - thresholds))[:, None]
    return ratio(true - odds * false, negatives.sum(axis=0) + positives.sum(axis=0)).T


def treat_all(truth: np.ndarray, thresholds: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return the net benefit of treating everybody, (R, T); arguments as in `net_benefit`."""
    return net_benefit(truth, np.ones(len(truth)), thresholds, W)


def _points(ranked: Ranked, specificity: float, sensitivity: float) -> np.ndarray:
    # Sensitivity changes only where a positive lies, so the scores of the positives are all thresholds that matter.
    # Shares are divided before they are compared: 55 of 100 is 0.55, and 0.55 times 100 is more than 55.
    specificities = ratio(ranked.below, ranked.negatives)
    found = np.cumsum(ranked.held[::-1], axis=0, dtype=np.float64)[::-1]
    sensitivities = ratio(found, ranked.positives)
    reached = np.where(specificities >= specificity, sensitivities, 0.0).max(axis=0, initial=0.0)
    kept = np.where(sensitivities >= sensitivity, specificities, 0.0).max(axis=0, initial=0.0)
    defined = (ranked.positives > 0) & (ranked.negatives > 0)
    return np.where(defined[:, None], np.column_stack([reached, kept]), np.nan)
