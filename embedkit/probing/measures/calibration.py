"""Whether a probability of 80 % comes true in 80 % of the images: Brier score, calibration error, temperature scaling.

Sources: Brier, Mon. Weather Rev. 78 (1950); Guo et al., On Calibration of Modern Neural Networks (ICML 2017); Wilson,
J. Am. Stat. Assoc. 22 (1927).
"""

from typing import Any

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.ranking import columns, mean_of_defined, ratio

NAMES = ("brier", "ece")
ERROR = NAMES.index("ece")
BINS = 15
_LARGEST_LOG_TEMPERATURE = np.log(1e3)
_Z = 1.959963984540054


def probabilities(scores: np.ndarray, exclusive: bool, temperature: float = 1.0) -> np.ndarray:
    """Return scores as probabilities, (n, K).

    Of more than two exclusive classes the softmax of scores / temperature; of two, whose scores are -s and s, the
    sigmoid of s / temperature, s being the logit of the second; of labels the sigmoid of each. A score of -inf (a class
    that was absent in training) has the probability 0.
    """
    from scipy.special import expit, softmax

    scaled = scores / temperature
    if exclusive and scores.shape[1] > 2:
        found: np.ndarray = softmax(scaled, axis=1)
        return found
    return np.asarray(expit(scaled))


def fit_temperature(scores: np.ndarray, truth: np.ndarray, exclusive: bool) -> float:
    """Return the temperature, in .001..1000, with the least negative log likelihood, which is convex in its inverse.

    The images must be validation images: fitted on judged ones, the calibration would be no test.

    Args:
        scores: (n, K). truth: (n, K) of 1, 0 or NaN (not judged). exclusive: classes, not labels.

    Raises:
        EmbedkitError: nothing is judged.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if exclusive and scores.shape[1] > 2:
        logits, held = scores, truth.argmax(axis=1)[:, None]
        own = np.take_along_axis(logits, held, axis=1)[:, 0]
        # An image of a class that was absent in training is impossible at every temperature.
        kept = np.isfinite(own)
        logits, held = logits[kept], held[kept]

        def loss(inverse: float) -> float:
            return -float(np.take_along_axis(log_softmax(logits * inverse, axis=1), held, axis=1).mean())

    else:
        scores, truth = (scores[:, 1:], truth[:, 1:]) if exclusive else (scores, truth)
        kept = ~np.isnan(truth) & np.isfinite(scores)
        logits = np.where(truth[kept] == 1, scores[kept], -scores[kept])

        def loss(inverse: float) -> float:
            return float(np.logaddexp(0, -logits * inverse).mean())

    if not len(logits):
        raise EmbedkitError(
            "there is no judged image to fit a temperature on: give a validation split with labels, or do without"
        )
    limits = (-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE)
    found = minimize_scalar(lambda log: loss(float(np.exp(-log))), bounds=limits, method="bounded")
    return float(np.exp(found.x))


def measure_calibration(truth: np.ndarray, probability: np.ndarray, exclusive: bool, W: np.ndarray) -> np.ndarray:
    """Return the Brier score and the expected calibration error under each weighting, (R, 2), as `NAMES` calls them.

    The Brier score of more than two classes is the sum over classes of the squared difference (0..2), of two that of
    the second class (0..1, as in scikit-learn), of labels the mean over labels. The calibration error is the mean
    difference of probability and share over 15 equally wide bins, weighted by the images in them: of the probability of
    the likeliest of more than two classes, of the second of two, and of each label, of which the mean is taken.

    Args:
        truth: (n, K) of 1, 0 or NaN (not judged). probability: (n, K). exclusive: classes, not labels.
        W: (R, n), counts or weights.
    """
    weights = columns(W).astype(np.float64)
    held, claimed = claims(truth, probability, exclusive)
    known = ~np.isnan(held)
    error = _squared_error(truth, probability, held, claimed, exclusive)
    total = known.T.astype(float) @ weights
    brier = ratio(np.where(known, error, 0.0).T @ weights, total)
    gaps = np.abs(_gaps(held, claimed, weights)).sum(axis=1)
    return np.column_stack([mean_of_defined(brier.T), mean_of_defined(gaps.T)])


def bins_moved(truth: np.ndarray, probability: np.ndarray, exclusive: bool, W: np.ndarray) -> np.ndarray:
    """Return how far each weighting moves the bins of the calibration error from those of all images, (R,).

    It is the length of a vector, of the difference in each bin; a resample lengthens it by what it moves the bins.
    Arguments as in `measure_calibration`.
    """
    held, claimed = claims(truth, probability, exclusive)
    moved = _gaps(held, claimed, columns(W).astype(np.float64)) - _gaps(held, claimed, np.ones((len(held), 1)))
    return mean_of_defined(np.abs(moved).sum(axis=1).T)


def _gaps(held: np.ndarray, claimed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of differences of what came true and its probability, as a part of all images, (J, bins, R)."""
    known = ~np.isnan(held)
    total = known.T.astype(float) @ weights
    difference = np.where(known, held - claimed, 0.0)
    sums = np.stack([_bins(claimed[:, j], difference[:, j]) @ weights for j in range(held.shape[1])])
    return ratio(sums, total[:, None])


def claims(truth: np.ndarray, probability: np.ndarray, exclusive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what came true (1, 0 or NaN) beside the probability it was given, two of (n, J).

    Of more than two classes whether the likeliest is right (J = 1), of two the second (J = 1), of labels each (J = K).
    """
    if not exclusive:
        return truth, probability
    if truth.shape[1] == 2:
        return truth[:, 1:], probability[:, 1:]
    likeliest = probability.argmax(axis=1)[:, None]
    return np.take_along_axis(truth, likeliest, axis=1), np.take_along_axis(probability, likeliest, axis=1)


def reliability(held: np.ndarray, claimed: np.ndarray, units: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """Return the reliability curve, one entry for each bin that has images.

    Args:
        held: (n,) of 1, 0 or NaN (not judged). claimed: (n,) probabilities; both as a column of `claims`.
        units: (n,) which image each is a judgement of; of repeated folds an image has several, and counts once.
        bins: how many, equally wide; a probability on a border belongs to the lower one.

    Returns:
        ``from`` and ``to`` of the bin, ``n`` different images, the mean ``probability``, the ``share`` in which it came
        true, and its 95 % Wilson interval ``low``, ``high``, which takes the images to be independent.
    """
    known = ~np.isnan(held)
    held, claimed, units = held[known], claimed[known], units[known]
    bin_of = _bin_of(claimed, bins)
    curve = []
    for b in np.unique(bin_of).tolist():
        inside = bin_of == b
        n, share = len(np.unique(units[inside])), float(held[inside].mean())
        middle, half = share + _Z**2 / (2 * n), _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        low, high = ((middle + side * half) / (1 + _Z**2 / n) for side in (-1, 1))
        curve.append(
            {
                "from": b / bins,
                "to": (b + 1) / bins,
                "n": n,
                "probability": float(claimed[inside].mean()),
                "share": share,
                # At a share of 0 or 1 the interval ends there, but for rounding.
                "low": min(share, max(0.0, float(low))),
                "high": max(share, min(1.0, float(high))),
            }
        )
    return curve


def _squared_error(
    truth: np.ndarray, probability: np.ndarray, held: np.ndarray, claimed: np.ndarray, exclusive: bool
) -> np.ndarray:
    if exclusive and truth.shape[1] > 2:
        return np.asarray(np.square(probability - truth).sum(axis=1, keepdims=True))
    return np.asarray(np.square(claimed - held))


def _bins(claimed: np.ndarray, values: np.ndarray) -> Any:
    """Return (bins, n), each image's value in the row of its bin, sparse."""
    from scipy.sparse import csr_array

    return csr_array((values, (_bin_of(claimed, BINS), np.arange(len(claimed)))), shape=(BINS, len(claimed)))


def _bin_of(claimed: np.ndarray, bins: int) -> np.ndarray:
    return np.asarray(np.clip(np.ceil(claimed * bins).astype(int) - 1, 0, bins - 1))
