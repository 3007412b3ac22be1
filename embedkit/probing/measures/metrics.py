"""The numbers a probe reports, each computed for many weightings of the judged images at once.

A bootstrap replicate is a weighting: an image drawn twice weighs 2, one not drawn 0. All functions take the weights
as a matrix ``W`` of shape (replicates, n), so that scores are sorted once and not once per replicate. They are quickest
where ``W.T`` is contiguous, as `embedkit.probing.measures.bootstrap.resamples` makes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from embedkit.probing.measures.ranking import (
    Ranked,
    Ranking,
    auc,
    average_precision,
    columns,
    mean_of_defined,
    rank,
    ratio,
)

NAMES = ("auc", "accuracy", "balanced_accuracy", "f1_macro", "average_precision")


@dataclass(frozen=True)
class Judged:
    """Scores beside the truth, for n images and K classes (or labels of a multilabel target).

    Attributes:
        truth: (n, K) of 1, 0 or NaN (not judged); exactly one 1 per row where ``exclusive``.
        scores: (n, K), the higher the more likely. For two exclusive classes the columns are -s and s. -inf throughout
            a fold is a class that the fold had no image of to learn from.
        fold: (n,) which fold's classifier gave the score; scores of different folds are never compared.
        exclusive: True for classes, False for labels that may hold together.
    """

    truth: np.ndarray
    scores: np.ndarray
    fold: np.ndarray
    exclusive: bool

    @property
    def two_classes(self) -> bool:
        """Tell whether there are two exclusive classes, of which the second is the positive one."""
        return self.exclusive and self.truth.shape[1] == 2

    @cached_property
    def rankings(self) -> list[list[Ranking]]:
        """Return the order of the images for each class, one per fold; sorted once for all weightings."""
        return [
            [rank(self.scores[:, k], self.truth[:, k] == 1, rows) for rows in self.rows_of_folds(k)]
            for k in range(self.truth.shape[1])
        ]

    def rows_of_folds(self, k: int) -> list[np.ndarray]:
        """Return the images of each fold that are judged for class ``k``; none where the fold did not learn it."""
        known = ~np.isnan(self.truth[:, k]) & (self.scores[:, k] != -np.inf)
        return [np.flatnonzero((self.fold == fold) & known) for fold in np.unique(self.fold)]

    def tally(self, weights: np.ndarray) -> np.ndarray:
        """Return the weight of the hits, of what is true, of what is predicted and of what is judged, (4, R, K)."""
        tallied: np.ndarray = self._tallied @ weights
        return tallied.reshape(4, self.truth.shape[1], -1).swapaxes(1, 2).astype(np.float64)

    @cached_property
    def _tallied(self) -> Any:
        from scipy.sparse import csr_array

        known = ~np.isnan(self.truth)
        truth, predicted = np.where(known, self.truth, 0.0), np.where(known, self.predicted(), 0.0)
        parts = np.concatenate([truth * predicted, truth, predicted, known], axis=1)
        return csr_array(parts.T.astype(np.float32))

    def predicted(self) -> np.ndarray:
        """Return (n, K) of 0 and 1: the class of the highest score, or every label scored above 0."""
        if not self.exclusive:
            return (self.scores > 0).astype(float)
        return np.asarray(np.eye(self.scores.shape[1])[self.scores.argmax(axis=1)])


def weighted_auc(scores: np.ndarray, positive: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve under each weighting, ties counted as one half.

    Args:
        scores: (n,). positive: (n,) of bool. W: (R, n), counts or weights, not negative.

    Returns:
        (R,), NaN where no positive or no negative has weight.
    """
    return auc(rank(scores, positive).weigh(columns(W)))


def class_aucs(judged: Judged, W: np.ndarray) -> np.ndarray:
    """Return the one-vs-rest AUC of each class, (R, K): the mean over the folds in which it is defined."""
    first = 1 if judged.two_classes else 0
    aucs = mean_over_folds(judged.rankings[first:], columns(W), lambda ranked: auc(ranked)[:, None])[..., 0]
    return np.repeat(aucs, 2, axis=1) if judged.two_classes else aucs


def mean_over_folds(
    rankings: list[list[Ranking]], weights: np.ndarray, numbers: Callable[[Ranked], np.ndarray]
) -> np.ndarray:
    """Return numbers of each class, (R, K, m): the mean over the folds in which one is defined.

    Args:
        rankings: of each class and fold. weights: (n, R), as `columns` returns them.
        numbers: maps what one fold shows of a class to (R, m).
    """
    found = [
        mean_of_defined(np.stack([numbers(ranking.weigh(weights)) for ranking in folds], axis=-1)) for folds in rankings
    ]
    return np.stack(found, axis=1)


def measure(judged: Judged, W: np.ndarray) -> np.ndarray:
    """Return all numbers under each weighting, (R, 5 + K): `NAMES`, then the AUC of each class.

    ``auc`` is the mean over classes (one-vs-rest) or labels; ``balanced_accuracy`` the mean recall of the classes;
    ``f1_macro`` the mean F1 of the classes; each over the classes that have weight in the truth. Of a multilabel
    target accuracy and balanced accuracy are means over labels, as in the MedMNIST evaluator. ``average_precision`` is
    the mean over classes or labels too, but of two exclusive classes that of the second, the positive one.
    """
    weights = columns(W)
    first = 1 if judged.two_classes else 0
    ranked = mean_over_folds(
        judged.rankings[first:], weights, lambda ranked: np.column_stack([auc(ranked), average_precision(ranked)])
    )
    aucs = np.repeat(ranked[..., 0], 2, axis=1) if judged.two_classes else ranked[..., 0]
    hits, actual, claimed, total = judged.tally(weights)
    recall, f1 = ratio(hits, actual), ratio(2 * hits, actual + claimed)
    f1[actual == 0] = np.nan
    if judged.exclusive:
        accuracy, balanced = hits.sum(axis=1) / total[:, 0], mean_of_defined(recall)
    else:
        rejected = total - actual - claimed + hits
        specificity = ratio(rejected, total - actual)
        accuracy = mean_of_defined(ratio(hits + rejected, total))
        balanced = mean_of_defined(mean_of_defined(np.stack([recall, specificity], axis=2)))
    numbers = [mean_of_defined(aucs), accuracy, balanced, mean_of_defined(f1), mean_of_defined(ranked[..., 1])]
    return np.column_stack([*numbers, aucs])
