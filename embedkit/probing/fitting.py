"""One fold: the parameter is chosen, the head is fitted with it, and the judged images are scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.extraction import Progress
from embedkit.probing.heads.grids import Grid
from embedkit.probing.heads.standard import standardise
from embedkit.probing.measures.calibration import fit_temperature
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.plan import Plan
from embedkit.probing.sample import Sample
from embedkit.probing.select import Choice, best, default
from embedkit.probing.splits import Fold, grouped_folds, inner_folds

if TYPE_CHECKING:
    from embedkit.probing.heads.estimator import Head

Part = tuple[np.ndarray, np.ndarray]

# Judged rows that are copied at one time: a multiple of the blocks in which linear scores are made.
_JUDGED = 8192


@dataclass(frozen=True)
class FoldFit:
    """What one fold gave.

    Attributes:
        choice: of the parameter. scores: (m, K) of the judged rows.
        temperature: what the scores are divided by before they are probabilities, fitted on the images that the
            choice was made on; None where there were none.
    """

    choice: Choice
    scores: np.ndarray
    temperature: float | None


# A temperature near the largest that is tried.
_USELESS = 900.0


def temperature_of(chosen_on: Judged, ranked: bool) -> float | None:
    """Return the temperature that the images of a choice give, None where they teach nothing about probabilities.

    Images that can't rank what was to be chosen don't, and scores that say nothing of the images would be divided until
    all probabilities are the same.

    Args:
        chosen_on: with the scores of what was chosen. ranked: whether the choice was by an AUC.
    """
    if not ranked:
        return None
    temperature = fit_temperature(chosen_on.scores, chosen_on.truth, chosen_on.exclusive)
    return temperature if temperature < _USELESS else None


def fit_folds(fitter: "Fitter", plan: Plan, progress: Progress) -> list[FoldFit]:
    """Return the fit of each fold of the plan."""
    fits = []
    for fold in plan.folds:
        fits.append(fitter.fit(plan, fold))
        progress.advance(1)
    return fits


@dataclass(frozen=True)
class Fitter:
    """A head, the values to choose from, and what else a fit depends on.

    Attributes:
        folds, seed: of the choice where a fold has no validation images.
    """

    head: "Head"
    grid: Grid
    standardise: bool
    folds: int
    seed: int

    def fit(self, plan: Plan, fold: Fold) -> FoldFit:
        """Choose on val (or on grouped folds of train), fit on train and val, score test.

        Features are standardised over the images that are learnt from. The folds of the choice share the mean and
        deviation of all of them: no label is in these, and so all folds are one problem.
        """
        fitted, labels = fold.fitted(), plan.train.labels
        if fold.val is None:
            X = plan.train.vectors(fitted)
            standard = self._standardise(X)
            ready = self.head.ready(X)
            parts, by = self._inner(plan.train, fitted)
            choice, temperature = self._choose(ready, plan.train, fitted, parts, by)
        else:
            choice, temperature = self._on_validation(plan.train, fold.train, fold.val)
            X = plan.train.vectors(fitted)
            standard = self._standardise(X)
            ready = self.head.ready(X)
        scorer = self.head.learn(ready, labels.truth[fitted], labels.exclusive, (choice.value,))
        blocks = [fold.test[start : start + _JUDGED] for start in range(0, len(fold.test), _JUDGED)]
        scores = [scorer(standard(plan.test.vectors(rows)), np.arange(len(rows)))[0] for rows in blocks]
        return FoldFit(choice, np.concatenate(scores), temperature)

    def _on_validation(self, sample: Sample, train: np.ndarray, val: np.ndarray) -> tuple[Choice, float | None]:
        rows = np.concatenate([train, val])
        X = sample.vectors(rows)
        standard = self._standardise(X[: len(train)])
        standard(X[len(train) :])
        part = np.arange(len(train)), np.arange(len(train), len(rows))
        return self._choose(X, sample, rows, [part], "validation images")

    def _standardise(self, X: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Overwrite X, and return what does the same to others."""
        return standardise(X) if self.standardise else np.asarray

    def _inner(self, sample: Sample, rows: np.ndarray) -> tuple[list[Part], str]:
        labels, groups = sample.select_labels(rows), sample.groups[rows]
        count = inner_folds(labels, groups, self.folds)
        if not count:
            return [], "no class lies in 2 groups of the training images"
        return grouped_folds(
            labels, groups, count, self.seed
        ), f"{count} grouped stratified folds of the training images"

    def _choose(
        self, X: Any, sample: Sample, rows: np.ndarray, parts: Sequence[Part], by: str
    ) -> tuple[Choice, float | None]:
        values = self.grid.values
        if not parts:
            return default(self.grid.parameter, values, by), None
        exclusive, truth = sample.labels.exclusive, sample.labels.truth[rows]
        paths = self.head.search(X, truth, exclusive, parts, values)
        judged = np.concatenate([held_out for _, held_out in parts])
        number = np.repeat(np.arange(len(parts)), [len(held_out) for _, held_out in parts])

        def at(v: int) -> Judged:
            # One value at a time: the scores of all values are the largest thing there is beside the embeddings.
            return Judged(truth[judged], np.concatenate([path[v] for path in paths]), number, exclusive)

        choice, chosen = best(self.grid.parameter, values, map(at, range(len(values))), by)
        return choice, temperature_of(at(chosen), bool(choice.scores))
