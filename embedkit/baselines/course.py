"""How a training goes: its epochs, which of them is the best, and whether another is worth its time."""

import math
from dataclasses import dataclass, field
from typing import Any

from embedkit.baselines.recipe import Recipe
from embedkit.cost import Cost


@dataclass
class Course:
    """How a training went so far.

    Attributes:
        history: per epoch ``loss``, and ``auc`` and ``val_loss`` on the validation images (None without any).
        best: the epoch, from 1, whose weights are kept. finished: there is nothing left to train.
        cost: of all epochs that were written down, whichever run computed them.
    """

    history: list[dict[str, float | None]] = field(default_factory=list)
    best: int = 0
    finished: bool = False
    cost: Cost = field(default_factory=Cost)

    @property
    def ranked(self) -> bool:
        """Whether the best epoch was chosen by an AUC."""
        return self.history[self.best - 1]["auc"] is not None

    def record(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        return {**vars(self), "cost": self.cost.to_dict()}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Course":
        """Return what `record` wrote."""
        return cls(**{**record, "cost": Cost.from_dict(record["cost"])})

    def add(self, entry: dict[str, float | None], recipe: Recipe) -> bool:
        """Enter an epoch; return whether it is the best so far.

        The higher validation AUC is better, of equal ones the lower validation loss. Without validation images, or
        where they have one class only, every epoch is better than the one before, or its loss decides.
        """
        self.history.append(entry)
        better = self.best == 0 or _rank(entry) > _rank(self.history[self.best - 1])
        if better or entry["val_loss"] is None:
            self.best = len(self.history)
        waited = len(self.history) - self.best
        self.finished = len(self.history) >= recipe.epochs or waited >= recipe.patience
        return self.best == len(self.history)

    def in_words(self, recipe: Recipe) -> str:
        """Return the last epoch in a line."""
        last, done = self.history[-1], len(self.history)
        auc = "" if last["auc"] is None else f", validation AUC {last['auc']:.3f}, best in epoch {self.best}"
        early = self.finished and done < recipe.epochs
        end = f"; stopped after {recipe.patience} without a better one" if early else ""
        return f"epoch {done} of {recipe.epochs}: loss {last['loss']:.3f}{auc}{end}"


def _rank(entry: dict[str, float | None]) -> tuple[float, float]:
    auc, loss = entry["auc"], entry["val_loss"]
    return -math.inf if auc is None else auc, -math.inf if loss is None else -loss
