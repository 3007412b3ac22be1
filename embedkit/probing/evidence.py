"""What a fitted plan has to show: the judged scores, one row per image (or eye, lesion, patient), and what to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from embedkit.probing.levels import agreed, means, pool_scores, unit_truth, units_of
from embedkit.probing.measures.bootstrap import Interval
from embedkit.probing.measures.calibration import probabilities
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.plan import Plan
from embedkit.probing.splits import leakage

# Of fewer groups that hold a class resamples are too alike; where all are ranked right, they are all the same.
_FEW = 10


@dataclass(frozen=True)
class Evidence:
    """The outcome of a plan.

    Attributes:
        plan: who was learnt from and who was judged.
        scores: (m, K) of the judged rows of each fold.
        temperatures: of each fold, what turns scores into calibrated probabilities; None where it is not known.
        probabilistic: the scores are logits as they are.
        level: ``image``, ``group`` or a column: what one judged row stands for.
    """

    plan: Plan
    scores: Sequence[np.ndarray]
    temperatures: Sequence[float | None]
    probabilistic: bool
    level: str = "image"

    @cached_property
    def images(self) -> np.ndarray:
        """Return the positions of the judged images, fold after fold."""
        return np.concatenate([fold.test for fold in self.plan.folds])

    @cached_property
    def _fold(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.plan.folds)), [len(fold.test) for fold in self.plan.folds])

    @cached_property
    def _units(self) -> np.ndarray:
        return np.asarray(units_of(self.plan.test, self.level)[self.images])

    @cached_property
    def _codes(self) -> np.ndarray:
        """Return which judged row each judged image belongs to."""
        if self.level == "image":
            return np.arange(len(self.images))
        return np.asarray(pd.factorize(pd.MultiIndex.from_arrays([self._fold, self._units]))[0])

    @cached_property
    def _first(self) -> np.ndarray:
        """Return the first image of each judged row, among the judged images."""
        return np.unique(self._codes, return_index=True)[1]

    @cached_property
    def judged(self) -> Judged:
        """Return the scores beside the truth, one row per judged unit.

        Raises:
            EmbedkitError: the images of a unit have different labels.
        """
        labels, scores = self.plan.test.select_labels(self.images), np.concatenate(self.scores)
        truth = labels.truth
        if self.level != "image":
            truth = unit_truth(labels, self._units, self._codes, self.level)
            scores = pool_scores(scores, self._codes, labels.exclusive, self.probabilistic)
        return Judged(truth, scores, self._fold[self._first], labels.exclusive)

    @cached_property
    def calibrated(self) -> np.ndarray | None:
        """Return probabilities (n, K) at the fitted temperatures, None where a fold has none."""
        return self._probabilities([temperature or np.nan for temperature in self.temperatures])

    @cached_property
    def uncalibrated(self) -> np.ndarray | None:
        """Return probabilities (n, K) as the head gives them, None where it gives none."""
        return self._probabilities([1.0] * len(self.scores)) if self.probabilistic else None

    def _probabilities(self, temperatures: Sequence[float]) -> np.ndarray | None:
        if np.isnan(temperatures).any():
            return None
        exclusive = self.plan.test.labels.exclusive
        each = [probabilities(s, exclusive, t) for s, t in zip(self.scores, temperatures, strict=True)]
        together = np.concatenate(each)
        return together if self.level == "image" else means(together, self._codes)

    @cached_property
    def leaked(self) -> dict[str, Any]:
        """Return the judged images that were met in training."""
        pairs = [(fold.fitted(), fold.test) for fold in self.plan.folds]
        return leakage(self.plan.train, self.plan.test, pairs)

    @cached_property
    def groups(self) -> np.ndarray:
        """Return the group of each judged row as a code 0..G-1."""
        return np.asarray(np.unique(self.plan.test.groups[self._rows], return_inverse=True)[1])

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.asarray(self.images[self._first])

    @cached_property
    def units(self) -> np.ndarray:
        """Return which image or unit each judged row is of, 0..U-1: repeated folds judge each several times."""
        return np.asarray(np.unique(self._names, return_inverse=True)[1])

    def count(self) -> int:
        """Return how many images or units were judged, each counted once however often the folds are repeated."""
        return len(np.unique(self.units))

    def count_classes(self) -> dict[str, int]:
        """Return how many of them hold each class."""
        return counts(self.plan.test.labels.classes, self.judged.truth[np.unique(self.units, return_index=True)[1]])

    @cached_property
    def _names(self) -> np.ndarray:
        return np.asarray(self._units[self._first])

    def extra(self, column: str) -> np.ndarray:
        """Return the values of a column, one for each judged row; None of a unit whose images differ."""
        return agreed(self.plan.test.extra[column][self.images], self._codes)

    def learnt(self, refitted: bool = True) -> np.ndarray:
        """Return the positions of the rows that any fold learnt from.

        Args:
            refitted: on the validation images too, once these had served the choice.
        """
        return np.unique(np.concatenate([fold.fitted() if refitted else fold.train for fold in self.plan.folds]))

    def per_class(self, **numbers: Sequence[Interval]) -> list[dict[str, Any]]:
        """Return each class with how many judged images or units hold it and its numbers."""
        return [
            {"label": label, "n": held, **{name: values[k] for name, values in numbers.items()}}
            for k, (label, held) in enumerate(self.count_classes().items())
        ]

    def notes(self) -> list[str]:
        """Return what a reader must know, in sentences."""
        notes = [*self.plan.notes, *self._leaks()]
        said = self.judged.predicted().any(axis=0)
        if self.judged.exclusive and said.sum() == 1:
            name = self.plan.test.labels.classes[int(said.argmax())]
            notes.append(
                f"every test image is called '{name}': the scores rank images (AUC), and accuracy and F1 say nothing "
                "of that"
            )
        several = [len(np.unique(self.groups[held])) for held in (self.judged.truth == 1).T]
        if 0 < (least := min((count for count in several if count), default=0)) < _FEW:
            name = self.plan.test.labels.classes[several.index(least)]
            notes.append(
                f"the test images of '{name}' are of {least} groups, or images where none are known: an interval from "
                "so few is too narrow"
            )
        return notes

    def predictions(self) -> pd.DataFrame:
        """Return one row per judged image (or unit): id, group, fold, the truth and the score of each class."""
        test, judged = self.plan.test, self.judged
        classes = test.labels.classes
        columns: dict[str, Any] = {
            "id": self._names.astype(object),
            "group": self._named_groups(),
            "fold": judged.fold,
        }
        if judged.exclusive:
            columns["truth"] = np.array(classes, object)[judged.truth.argmax(axis=1)]
        else:
            columns |= {f"truth_{name}": judged.truth[:, k] for k, name in enumerate(classes)}
        columns |= {f"score_{name}": judged.scores[:, k] for k, name in enumerate(classes)}
        return pd.DataFrame(columns)

    def _named_groups(self) -> np.ndarray:
        """Return the group of each judged row as a saved result names it, None where it is alone.

        Copies of one file that are of no group are resampled together, under the first one's name.
        """
        test, own = self.plan.test, pd.Series(self._names).groupby(self.groups)
        copies = ("image " + own.transform("first")).where(own.transform("nunique") > 1, None)
        groups = pd.Series(test.groups[self._rows]).where(test.grouped[self._rows], copies)
        return groups.to_numpy(object)

    def _leaks(self) -> list[str]:
        leaked, kind, notes = self.leaked, self.plan.kind, []
        if leaked["images"]:
            shared = f"{leaked['images']} of {len(np.unique(self.images))} test images ({leaked['share']:.1%})"
            source = {
                "published": "the published split is used as it is",
                "other set": "if the names mean the same patients in both sets, this is no test on unseen ones",
            }[kind]
            notes.append(f"{shared} are of groups that are in the training images too: {source}")
        if leaked["images"] is None and kind not in ("other set", "untrained"):
            notes.append("no groups (patients, lesions) are known: images of one patient may be on both sides")
        if leaked["duplicates"]:
            known = (self.plan.test.digests != "").all() and (self.plan.train.digests != "").all()
            how = "are copies, byte for byte, of training images" if known else "have the embedding of a training image"
            notes.append(f"{leaked['duplicates']} test images {how}")
        return notes


def counts(classes: Sequence[str], truth: np.ndarray) -> dict[str, int]:
    """Return how many rows hold each class."""
    return dict(zip(classes, np.nansum(truth, axis=0).astype(int).tolist(), strict=True))
