"""The numbers a probe reports, each computed for many weightings of the judged images at once.

A bootstrap replicate is a weighting: an image drawn twice weighs 2, one not drawn 0. All functions take the weights
as a matrix ``W`` of shape (replicates, n), so that scores are sorted once and not once per replicate.
"""

from dataclasses import dataclass

import numpy as np

NAMES = ("auc", "accuracy", "balanced_accuracy", "f1_macro")


@dataclass(frozen=True)
class Judged:
    """Scores beside the truth, for n images and K classes (or labels of a multilabel target).

    Attributes:
        truth: (n, K) of 1, 0 or NaN (not judged); exactly one 1 per row where ``exclusive``.
        scores: (n, K), the higher the more likely. For two exclusive classes the columns are -s and s.
        fold: (n,) which fold's classifier gave the score; scores of different folds are never compared.
        exclusive: True for classes, False for labels that may hold together.
    """

    truth: np.ndarray
    scores: np.ndarray
    fold: np.ndarray
    exclusive: bool

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
    order = np.argsort(scores, kind="stable")
    positives, negatives = order[positive[order]], order[~positive[order]]
    # A positive wins against the weight of negatives below it and half of those level with it.
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    level = np.searchsorted(scores[negatives], scores[positives], side="right")
    cumulated = np.zeros((len(W), len(negatives) + 1), W.dtype)
    np.cumsum(W.take(negatives, axis=1), axis=1, out=cumulated[:, 1:])
    weights = W.take(positives, axis=1)
    twice_won = np.einsum("rp,rp->r", weights, cumulated.take(below, axis=1) + cumulated.take(level, axis=1))
    return _ratio(twice_won, 2 * weights.sum(axis=1) * cumulated[:, -1])


def class_aucs(judged: Judged, W: np.ndarray) -> np.ndarray:
    """Return the one-vs-rest AUC of each class, (R, K): the mean over the folds in which it is defined."""
    classes = judged.truth.shape[1]
    two_exclusive = judged.exclusive and classes == 2
    found = np.empty((len(W), classes))
    for k in range(1 if two_exclusive else 0, classes):
        rows_of_folds = [
            np.flatnonzero((judged.fold == fold) & ~np.isnan(judged.truth[:, k])) for fold in np.unique(judged.fold)
        ]
        per_fold = [
            weighted_auc(judged.scores[rows, k], judged.truth[rows, k] == 1, _columns(W, rows))
            for rows in rows_of_folds
        ]
        found[:, k] = mean_of_defined(np.stack(per_fold, axis=1))
    if two_exclusive:
        found[:, 0] = found[:, 1]
    return found


def measure(judged: Judged, W: np.ndarray) -> np.ndarray:
    """Return all numbers under each weighting, (R, 4 + K): `NAMES`, then the AUC of each class.

    ``auc`` is the mean over classes (one-vs-rest) or labels; ``balanced_accuracy`` the mean recall of the classes;
    ``f1_macro`` the mean F1 of the classes; each over the classes that have weight in the truth. Of a multilabel
    target accuracy and balanced accuracy are means over labels, as in the MedMNIST evaluator.
    """
    aucs = class_aucs(judged, W)
    weights = W.astype(float)
    known = ~np.isnan(judged.truth)
    truth = np.where(known, judged.truth, 0.0)
    predicted = np.where(known, judged.predicted(), 0.0)
    hits = weights @ (truth * predicted)
    actual, claimed, total = weights @ truth, weights @ predicted, weights @ known
    recall, f1 = _ratio(hits, actual), _ratio(2 * hits, actual + claimed)
    f1[actual == 0] = np.nan
    if judged.exclusive:
        accuracy, balanced = hits.sum(axis=1) / weights.sum(axis=1), mean_of_defined(recall)
    else:
        rejected = total - actual - claimed + hits
        specificity = _ratio(rejected, total - actual)
        accuracy = mean_of_defined(_ratio(hits + rejected, total))
        balanced = mean_of_defined(mean_of_defined(np.stack([recall, specificity], axis=2)))
    columns = [mean_of_defined(aucs), accuracy, balanced, mean_of_defined(f1)]
    return np.column_stack([*columns, aucs])


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN, NaN where nothing is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return found


def _columns(W: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return W if len(rows) == W.shape[1] else W.take(rows, axis=1)
