"""The choice of C, on images that are not the judged ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedkit.probing.metrics import NAMES, Judged, measure
from embedkit.probing.sample import Sample
from embedkit.probing.splits import Fold, grouped_folds, inner_folds
from embedkit.probing.standard import standardised
from embedkit.probing.threads import side_by_side

if TYPE_CHECKING:
    from embedkit.probing.heads import Head

GRIDS: dict[str, tuple[float, ...]] = {
    "logistic": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2),
    "svm-linear": (1e-3, 1e-2, 1e-1, 1.0, 1e1),
    "svm-rbf": (1e-2, 1e-1, 1.0, 1e1, 1e2),
}
# Of two scores closer than this, rounding decides which is higher.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Choice:
    """A value of C and how it was found.

    Attributes:
        C: the chosen value. by: on which images, in words.
        scores: the macro AUC of each value of the grid; empty where nothing could be compared.
        at_edge: the best value is the first or last of the grid, and better than its neighbour.
    """

    C: float
    by: str
    scores: tuple[float, ...]
    at_edge: bool


@dataclass(frozen=True)
class Fitter:
    """How a head is fitted: which, with which values of C to choose from, on standardised features or not."""

    head: "Head"
    grid: tuple[float, ...]
    standardise: bool

    def scores(
        self, train: Sample, rows: np.ndarray, test: Sample, judged: np.ndarray, Cs: tuple[float, ...]
    ) -> np.ndarray:
        """Fit ``rows`` of ``train`` with each C and score ``judged`` of ``test``, (C, m, K)."""
        X, X_new = train.X[rows], test.X[judged]
        if self.standardise:
            X, X_new = standardised(X, X_new)
        return self.head.path(X, train.labels.truth[rows], train.labels.exclusive, X_new, Cs)


def choose(fitter: Fitter, sample: Sample, fold: Fold, folds: int, seed: int) -> Choice:
    """Choose C by macro AUC: on the fold's val where it has one, else on grouped folds of its train.

    Of equal AUCs the higher balanced accuracy decides, of those the smaller C.

    Args:
        fitter: the head and its grid. sample: where the fold's train and val point into.
        folds, seed: of the choice where there is no val.
    """
    if fold.val is not None:
        parts, by = [(fold.train, fold.val)], "validation images"
    else:
        labels, groups = sample.select(fold.train).labels, sample.groups[fold.train]
        count = inner_folds(labels, groups, folds)
        if not count:
            middle = fitter.grid[len(fitter.grid) // 2]
            return Choice(middle, "default: no class lies in 2 groups of the training images", (), at_edge=False)
        cuts = grouped_folds(labels, groups, count, seed)
        parts = [(fold.train[train], fold.train[test]) for train, test in cuts]
        by = f"{count} grouped stratified folds of the training images"
    paths = side_by_side(lambda part: fitter.scores(sample, part[0], sample, part[1], fitter.grid), parts)
    rows = np.concatenate([judged for _, judged in parts])
    number = np.repeat(np.arange(len(parts)), [len(judged) for _, judged in parts])
    truth, exclusive = sample.labels.truth[rows], sample.labels.exclusive
    ones = np.ones((1, len(rows)), np.int64)
    measured = [
        measure(Judged(truth, np.concatenate([path[c] for path in paths]), number, exclusive), ones)[0]
        for c in range(len(fitter.grid))
    ]
    auc, balanced = NAMES.index("auc"), NAMES.index("balanced_accuracy")
    return _best(fitter.grid, [float(row[auc]) for row in measured], [float(row[balanced]) for row in measured], by)


def _best(grid: tuple[float, ...], aucs: list[float], balanced: list[float], by: str) -> Choice:
    if np.isnan(aucs).any():
        return Choice(grid[len(grid) // 2], f"default: no class has both sides in the {by}", (), at_edge=False)
    # Easy classes rank alike for every C, but a tiny one calls every image by the commonest class: of equal AUCs
    # the one that also decides best is taken, and of those the smallest, the simplest classifier.
    equal = [number for number, auc in enumerate(aucs) if auc >= max(aucs) - _EQUAL]
    best = max(equal, key=lambda number: (balanced[number], -number))
    neighbour = {0: 1, len(grid) - 1: len(grid) - 2}.get(best, best)
    return Choice(grid[best], by, tuple(aucs), at_edge=aucs[best] > aucs[neighbour] + _EQUAL)
