"""Where the images of one class stand among all others, under many weightings of the images at once.

Scores are sorted once. What depends on the weights are three sums over images, and each is one product of a sparse
matrix of ones with the weights: all replicates of a bootstrap cost little more than a few. Counts are
weighed in single precision, which is exact where their sums stay below 2^23.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_EXACT_IN_SINGLE = 2**23
_FEW = 64


@dataclass(frozen=True)
class Ranked:
    """The weights on each side of each level (a distinct score of the class's images, lowest first).

    Attributes:
        held: (L, R) of the class's images at each level. below: (L, R) of other images below it.
        at_most: (L, R) of other images below it or level with it. positives, negatives: (R,) of either side in all.
    """

    held: np.ndarray
    below: np.ndarray
    at_most: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """The order of the images, made by `rank`; sparse matrices of ones over (levels, images).

    Attributes:
        held: (L, n), the class's images at each level. level: (L, n), other images with exactly that score.
        passed: (L + 1, n), other images from the level before, included, up to this one, not included.
    """

    held: Any
    level: Any
    passed: Any

    def weigh(self, weights: np.ndarray) -> Ranked:
        """Return what stands where under each weighting, weights (n, R) as `columns` returns them."""
        held, reached = self.held @ weights, running_sum(self.passed @ weights)
        below = reached[:-1]
        at_most = below + self.level @ weights if self.level.nnz else below
        return Ranked(held, below, at_most, held.sum(axis=0, dtype=np.float64), reached[-1].astype(np.float64))


def rank(scores: np.ndarray, positive: np.ndarray, rows: np.ndarray | None = None) -> Ranking:
    """Return the order of the images by score.

    Args:
        scores: (n,). positive: (n,) of bool. rows: the images to compare with one another, by default all n.
    """
    rows = np.arange(len(scores)) if rows is None else rows
    inside, outside = rows[positive[rows]], rows[~positive[rows]]
    levels, level_of = np.unique(scores[inside], return_inverse=True)
    passed = np.searchsorted(levels, scores[outside], side="right")
    tied = np.searchsorted(levels, scores[outside], side="left") < passed
    shape = (len(levels), len(scores))
    return Ranking(
        _ones(level_of, inside, shape),
        _ones(passed[tied] - 1, outside[tied], shape),
        _ones(passed, outside, (shape[0] + 1, shape[1])),
    )


def auc(ranked: Ranked) -> np.ndarray:
    """Return the area under the ROC curve, (R,), ties counted one half; NaN where a side has no weight."""
    # A positive wins against the weight of negatives below it and half of those level with it.
    twice_won = np.einsum("lr,lr->r", ranked.held, ranked.below + ranked.at_most, dtype=np.float64)
    return ratio(twice_won, 2 * ranked.positives * ranked.negatives)


def average_precision(ranked: Ranked) -> np.ndarray:
    """Return the sum of precision times the step in recall, (R,), as scikit-learn defines it; NaN without positives."""
    found = ranked.positives - running_sum(ranked.held.copy()) + ranked.held
    claimed = found + (ranked.negatives - ranked.below)
    precision = np.divide(found, claimed, out=np.zeros_like(claimed), where=ranked.held > 0)
    return ratio(np.einsum("lr,lr->r", ranked.held, precision), ranked.positives)


def columns(W: np.ndarray) -> np.ndarray:
    """Return weights (R, n) as contiguous (n, R), counts in single precision where all their sums are exact in it."""
    counts = W.dtype.kind in "iub" and W.size and int(W.max()) * W.shape[1] < _EXACT_IN_SINGLE
    return np.ascontiguousarray(W.T, np.float32 if counts else np.float64)


def running_sum(rows: np.ndarray) -> np.ndarray:
    """Return the sums of the rows so far, (L, R); ``rows`` may be overwritten."""
    # numpy walks down one column after the other; adding whole rows is five times as fast where they are long.
    if rows.shape[1] < _FEW:
        return np.cumsum(rows, axis=0)
    for before, row in pairwise(rows):
        np.add(before, row, out=row)
    return rows


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below in double precision, NaN where below is 0."""
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    found: np.ndarray = np.divide(above, below, out=out, where=below > 0)
    return found


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN, NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _ones(rows: np.ndarray, images: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    order = np.argsort(rows, kind="stable")
    return csr_array((np.ones(len(rows), np.float32), images[order], starts), shape=shape)
