"""The choice of C (or k, or shrinkage), on images that are not the judged ones."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embedkit.probing.measures.metrics import NAMES, Judged, measure

# Of two scores closer than this, rounding decides which is higher.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Choice:
    """A value of the parameter and how it was found.

    Attributes:
        parameter: its name, "" for a head that has none. value: the chosen one.
        by: on which images, in words.
        scores: the macro AUC of each value of the grid; empty where nothing could be compared.
        at_edge: the best value is the first or last of the grid, and better than its neighbour.
    """

    parameter: str
    value: float
    by: str
    scores: tuple[float, ...]
    at_edge: bool


def best(parameter: str, values: tuple[float, ...], judged: Iterable[Judged], by: str) -> tuple[Choice, int]:
    """Return the value of the highest macro AUC, and its position.

    Of equal AUCs the higher balanced accuracy decides, of those the smaller value: easy classes rank alike for every
    C, but a tiny one calls every image by the commonest class.

    Args:
        judged: for each value, the scores of the images chosen on. by: which images these are, in words.
    """
    measured = [measure(one, np.ones((1, len(one.fold)), np.int64))[0] for one in judged]
    aucs, balanced = ([float(row[NAMES.index(name)]) for row in measured] for name in ("auc", "balanced_accuracy"))
    if np.isnan(aucs).any():
        return default(parameter, values, f"no class has both sides in the {by}"), len(values) // 2
    equal = [number for number, auc in enumerate(aucs) if auc >= max(aucs) - _EQUAL]
    chosen = max(equal, key=lambda number: (balanced[number], -number))
    neighbour = {0: 1, len(values) - 1: len(values) - 2}.get(chosen, chosen) if len(values) > 1 else chosen
    at_edge = aucs[chosen] > aucs[neighbour] + _EQUAL
    return Choice(parameter, values[chosen], by, tuple(aucs), at_edge), chosen


def default(parameter: str, values: tuple[float, ...], why: str) -> Choice:
    """Return the middle of the grid, where nothing can be compared."""
    return Choice(parameter, values[len(values) // 2], f"default: {why}", (), at_edge=False)
