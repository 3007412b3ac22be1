"""What a fitted plan has to show: the judged scores, where they came from, and what a reader must know of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from embedkit.probing.bootstrap import Interval
from embedkit.probing.metrics import Judged
from embedkit.probing.plan import Plan
from embedkit.probing.select import Choice
from embedkit.probing.splits import leakage


@dataclass(frozen=True)
class Evidence:
    """The outcome of a plan.

    Attributes:
        plan: who was learnt from and who was judged. choices: of C, one per fold.
        scores: (n, K) of the judged rows, fold after fold. unconverged: fits that stopped early.
    """

    plan: Plan
    choices: Sequence[Choice]
    scores: np.ndarray
    unconverged: int

    @cached_property
    def rows(self) -> np.ndarray:
        """Return the positions of the judged rows, fold after fold."""
        return np.concatenate([fold.test for fold in self.plan.folds])

    @cached_property
    def judged(self) -> Judged:
        """Return the scores beside the truth."""
        labels = self.plan.test.labels
        fold = np.repeat(np.arange(len(self.plan.folds)), [len(fold.test) for fold in self.plan.folds])
        return Judged(labels.truth[self.rows], self.scores, fold, labels.exclusive)

    @cached_property
    def leaked(self) -> dict[str, Any]:
        """Return the judged images that were met in training."""
        pairs = [(fold.fitted(), fold.test) for fold in self.plan.folds]
        return leakage(self.plan.train, self.plan.test, pairs)

    def groups(self) -> np.ndarray:
        """Return the group of each judged row as a code 0..G-1."""
        return np.unique(self.plan.test.groups[self.rows], return_inverse=True)[1]

    def learnt(self) -> np.ndarray:
        """Return the positions of the rows that any fold learnt from."""
        return np.unique(np.concatenate([fold.fitted() for fold in self.plan.folds]))

    def per_class(self, aucs: Sequence[Interval]) -> list[dict[str, Any]]:
        """Return each class with how many judged images hold it and its AUC."""
        held = np.nansum(self.judged.truth, axis=0).astype(int).tolist()
        return [
            {"label": name, "n": n, "auc": auc}
            for name, n, auc in zip(self.plan.test.labels.classes, held, aucs, strict=True)
        ]

    def selected(self, grid: Sequence[float]) -> dict[str, Any]:
        """Return the chosen C; with folds a list with one entry per fold."""
        C, scores = [choice.C for choice in self.choices], [list(choice.scores) for choice in self.choices]
        one = len(self.choices) == 1
        return {
            "C": C[0] if one else C,
            "chosen_by": "; ".join(dict.fromkeys(choice.by for choice in self.choices)),
            "grid": list(grid),
            "scores": scores[0] if one else scores,
        }

    def notes(self) -> list[str]:
        """Return what a reader must know, in sentences."""
        notes = [*self.plan.notes, *self._leaks()]
        edges = sum(choice.at_edge for choice in self.choices)
        if edges:
            where = "" if len(self.choices) == 1 else f" in {edges} of {len(self.choices)} folds"
            notes.append(f"the chosen C lies at the edge of the grid{where}: a wider grid might do better")
        said = self.judged.predicted().any(axis=0)
        if self.judged.exclusive and said.sum() == 1:
            name = self.plan.test.labels.classes[int(said.argmax())]
            notes.append(
                f"every test image is called '{name}': C was chosen for its ranking (AUC), and accuracy and F1 "
                "say nothing of that"
            )
        if self.unconverged:
            notes.append(f"{self.unconverged} fits stopped at the limit of iterations, before they converged")
        return notes

    def predictions(self) -> pd.DataFrame:
        """Return one row per judged image: id, group, fold, the truth and the score of each class."""
        test, judged = self.plan.test, self.judged
        classes = test.labels.classes
        columns: dict[str, Any] = {
            "id": test.ids[self.rows].astype(object),
            "group": np.where(test.grouped[self.rows], test.groups[self.rows].astype(object), None),
            "fold": judged.fold,
        }
        if judged.exclusive:
            columns["truth"] = np.array(classes, object)[judged.truth.argmax(axis=1)]
        else:
            columns |= {f"truth_{name}": judged.truth[:, k] for k, name in enumerate(classes)}
        columns |= {f"score_{name}": judged.scores[:, k] for k, name in enumerate(classes)}
        return pd.DataFrame(columns)

    def _leaks(self) -> list[str]:
        leaked, kind, notes = self.leaked, self.plan.kind, []
        if leaked["images"]:
            shared = f"{leaked['images']} of {len(self.rows)} test images ({leaked['share']:.1%})"
            source = {
                "published": "the published split is used as it is",
                "other set": "if the names mean the same patients in both sets, this is no test on unseen ones",
            }[kind]
            notes.append(f"{shared} are of groups that are in the training images too: {source}")
        if leaked["images"] is None and kind != "other set":
            notes.append("no groups (patients, lesions) are known: images of one patient may be on both sides")
        if leaked["duplicates"]:
            notes.append(f"{leaked['duplicates']} test images are copies, byte for byte, of training images")
        return notes


def counts(classes: Sequence[str], truth: np.ndarray) -> dict[str, int]:
    """Return how many rows hold each class."""
    return dict(zip(classes, np.nansum(truth, axis=0).astype(int).tolist(), strict=True))
