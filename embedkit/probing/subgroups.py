"""Does the number hold for women and men, the young and the old, each hospital? Per subgroup, and the largest gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.bootstrap import intervals
from embedkit.probing.measures.calibration import NAMES as CALIBRATION
from embedkit.probing.measures.calibration import bins_moved, measure_calibration
from embedkit.probing.measures.metrics import Judged, class_aucs
from embedkit.probing.measures.ranking import columns, mean_of_defined, ratio
from embedkit.probing.target import as_names, in_order

LEAST = 10
"""Images on either side of a class without which a subgroup is not judged: an AUC of fewer says nothing."""

METRICS = ("auc", "sensitivity", "specificity", "brier", "ece")
MISSING = "(missing)"
_CATEGORIES = 8


@dataclass(frozen=True)
class Subgroups:
    """The judged rows by one column.

    Attributes:
        by: the column. names: of the subgroups, in order. codes: (n,) which subgroup each row is of.
    """

    by: str
    names: tuple[str, ...]
    codes: np.ndarray


def parse_by(text: str) -> tuple[str, tuple[float, ...]]:
    """Return the column and the cuts of ``age:40,60``.

    Raises:
        EmbedkitError: a cut is no number, or they don't rise.
    """
    column, _, cuts = text.partition(":")
    try:
        edges = tuple(float(cut) for cut in cuts.split(",")) if cuts else ()
    except ValueError:
        edges = (np.nan,)
    if not all(np.diff(edges) > 0) or not np.isfinite(edges).all():
        raise EmbedkitError(f"'{text}' is no column with rising cuts: write it like age or age:40,60")
    return column, edges


def cut_up(by: str, values: np.ndarray) -> Subgroups:
    """Sort the rows into subgroups: by value, or numbers of many values by cuts (as given, else at the quartiles).

    Text is cut only where cuts are given: ``00`` to ``31`` are codes, and no amounts.

    Args:
        by: as in `parse_by`. values: (n,) of the column; what is missing is a subgroup of its own.
    """
    column, edges = parse_by(by)
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(float)
    names = as_names(pd.Series(values, dtype=object))
    words = names[names.notna() & ~np.isfinite(numbers)]
    if edges and len(words):
        raise EmbedkitError(f"the column '{column}' holds '{words.iloc[0]}', which can't be cut at numbers")
    written = any(isinstance(value, str) and value.strip() for value in values)
    if words.empty and (edges or (names.nunique() > _CATEGORIES and not written)):
        edges = edges or _quartiles(numbers[np.isfinite(numbers)])
        bins = _bins(edges)
        place = np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), len(bins))
        held, codes = np.unique(place, return_inverse=True)
        return Subgroups(column, tuple([*bins, MISSING][number] for number in held), codes)
    return by_value(column, values)


def by_value(column: str, values: np.ndarray) -> Subgroups:
    """Sort the rows (n,) into subgroups by value, numbers too; what is missing is a subgroup of its own."""
    text = as_names(pd.Series(values, dtype=object)).fillna(MISSING).to_numpy(object)
    order = in_order([name for name in np.unique(text.astype(str)).tolist() if name != MISSING])
    order += (MISSING,) if (text == MISSING).any() else ()
    return Subgroups(column, order, np.array([order.index(name) for name in text]))


def _quartiles(numbers: np.ndarray) -> tuple[float, ...]:
    found = np.quantile(numbers, [0.25, 0.5, 0.75])
    if (numbers % 1 == 0).all():
        # Nobody is 38.75 years old.
        return tuple(np.unique(np.round(found)).tolist())
    # To as few digits as tell them apart: they are the names of the subgroups.
    written = ([f"{cut:.{digits}g}" for cut in found] for digits in range(6, 18))
    apart = next(cuts for cuts in written if len(set(cuts)) == len(np.unique(found)))
    return tuple(np.unique([float(cut) for cut in apart]).tolist())


def _bins(edges: Sequence[float]) -> list[str]:
    cuts = [_written(edge) for edge in edges]
    return [f"below {cuts[0]}", *(f"{low} to {high}" for low, high in pairwise(cuts)), f"{cuts[-1]} and above"]


def _written(number: float) -> str:
    short = f"{number:.15g}"
    return short if float(short) == number else repr(number)


def judge_subgroups(
    judged: Judged,
    probability: np.ndarray | None,
    groups: np.ndarray,
    units: np.ndarray,
    parts: Subgroups,
    specificity: float,
    replicates: int,
    seed: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the numbers of each subgroup with intervals, and the largest gap of each number.

    Sensitivity and specificity are at one threshold for all: the one that has the asked specificity over all images
    (of a fold), as a clinic would use it. The interval of a gap is of the difference between the two subgroups that
    are furthest apart, on the same resamples; chosen as the largest, it is rather too large than too small.

    Args:
        judged: n rows, K classes. probability: (n, K), None where there is none.
        groups: (n,) codes 0..G-1 of what is resampled together. units: (n,) which image or unit each row judges; one
            that repeated folds judge several times counts once. parts: the subgroups.
        specificity: in 0..1. replicates, seed: as in `intervals`.

    Returns:
        Per subgroup ``by``, ``value``, ``n``, ``groups``, ``classes`` (those with enough images), the `METRICS` as
        intervals (None where it is too small) and ``note``; per metric ``by``, ``metric``, ``high``, ``low`` (the two
        subgroups) and ``gap``, an interval.
    """
    members = [np.flatnonzero(parts.codes == number) for number in range(len(parts.names))]
    images = [rows[np.unique(units[rows], return_index=True)[1]] for rows in members]
    sides = [_enough(judged, rows) for rows in images]
    large = [number for number, enough in enumerate(sides) if enough.any()]
    common = np.logical_and.reduce([sides[number] for number in large]) if large else np.zeros(0, bool)
    flagged = _flagged(judged, specificity)
    judges = [_Judge(judged, flagged, probability, members[number]) for number in large]

    def statistic(W: np.ndarray) -> np.ndarray:
        each = [judge.measure(W) for judge in judges]
        own = [_over(sides[number], *found) for number, found in zip(large, each, strict=True)]
        shared = [_over(common, *found) for found in each] if common.any() else []
        return np.stack([*own, *shared], axis=1).reshape(len(W), -1)

    if not large:
        return [_too_small(parts, number, rows, groups) for number, rows in enumerate(images)], []
    gap_pairs = _furthest(statistic(np.ones((1, len(groups)), np.int64))[0], len(large), bool(common.any()))

    def with_gaps(W: np.ndarray) -> np.ndarray:
        found = statistic(W)
        gaps = [found[:, high] - found[:, low] for _, high, low in gap_pairs]
        return np.column_stack([found[:, : len(large) * len(METRICS)], *gaps])

    moved = {len(METRICS) * place + METRICS.index("ece"): judge.moved for place, judge in enumerate(judges)}
    found = intervals(with_gaps, groups, replicates, seed, moved)
    rows_out = []
    for number, rows in enumerate(images):
        row = _too_small(parts, number, rows, groups)
        if number in large:
            at = large.index(number) * len(METRICS)
            own = dict(zip(METRICS, found[at : at + len(METRICS)], strict=True))
            row |= {**own, "classes": np.flatnonzero(sides[number]).tolist(), "note": ""}
        rows_out.append(row)
    offset = len(large) * len(METRICS)
    gaps = []
    for position, (metric, high, low) in enumerate(gap_pairs):
        names = [parts.names[large[(place - offset) // len(METRICS)]] for place in (high, low)]
        gaps.append(
            {
                "by": parts.by,
                "metric": METRICS[metric],
                "high": names[0],
                "low": names[1],
                "gap": found[offset + position],
            }
        )
    return rows_out, gaps


def _too_small(parts: Subgroups, number: int, rows: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    several = len(np.unique(groups[rows]))
    return {
        "by": parts.by,
        "value": parts.names[number],
        "n": len(rows),
        "groups": several,
        "classes": [],
        **dict.fromkeys(METRICS),
        "note": f"too small to be judged: {len(rows)} images of {several} groups, and no class with {LEAST} images "
        "of it and of others",
    }


def _enough(judged: Judged, rows: np.ndarray) -> np.ndarray:
    """Return (K,) of bool: the classes with enough images on either side; of two classes the second stands for both."""
    truth = judged.truth[rows]
    enough = ((truth == 1).sum(axis=0) >= LEAST) & ((truth == 0).sum(axis=0) >= LEAST)
    if judged.two_classes:
        enough[0] = False
    return np.asarray(enough)


def _flagged(judged: Judged, specificity: float) -> np.ndarray:
    """Return (n, K) of 0 and 1: scored above the lowest threshold that spares the asked share of negatives."""
    flagged = np.zeros(judged.scores.shape)
    for fold in np.unique(judged.fold):
        rows = judged.fold == fold
        for k in range(judged.scores.shape[1]):
            scores = judged.scores[rows, k]
            negatives = np.sort(scores[judged.truth[rows, k] == 0])
            if len(negatives):
                spared = int(np.ceil(specificity * len(negatives) - 1e-9))
                flagged[rows, k] = scores > negatives[spared - 1]
    return flagged


class _Judge:
    """What is measured of one subgroup under any weighting of all images."""

    def __init__(self, judged: Judged, flagged: np.ndarray, probability: np.ndarray | None, rows: np.ndarray) -> None:
        self.rows, self.probability = rows, None if probability is None else probability[rows]
        # It keeps the order of its scores from one weighting to the next.
        self.judged = Judged(judged.truth[rows], judged.scores[rows], judged.fold[rows], judged.exclusive)
        sides = [(self.judged.truth == side, right) for side, right in ((1, flagged[rows]), (0, 1 - flagged[rows]))]
        counted = [part.astype(np.float32) for held, right in sides for part in (held * right, held)]
        self.counted = np.concatenate(counted, axis=1)

    def measure(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return AUC, sensitivity and specificity of each class, (3, R, K), and the calibration, (R, 2)."""
        weights = W.T[self.rows].T
        hits, positives, spared, negatives = np.split(self.counted.T @ columns(weights), 4)
        rates = [ratio(hits, positives).T, ratio(spared, negatives).T]
        calibration = np.full((len(W), len(CALIBRATION)), np.nan)
        if self.probability is not None:
            calibration = measure_calibration(self.judged.truth, self.probability, self.judged.exclusive, weights)
        return np.stack([class_aucs(self.judged, weights), *rates]), calibration

    def moved(self, W: np.ndarray) -> np.ndarray:
        """Return how far the weightings move the calibration error of the subgroup, (R,); it has probabilities."""
        assert self.probability is not None
        return bins_moved(self.judged.truth, self.probability, self.judged.exclusive, W.T[self.rows].T)


def _over(classes: np.ndarray, of_classes: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return the `METRICS`, (R, 5), as means over some classes (K,) of bool."""
    return np.column_stack([*(mean_of_defined(one[:, classes]) for one in of_classes), calibration])


def _furthest(point: np.ndarray, large: int, comparable: bool) -> list[tuple[int, int, int]]:
    """Return (metric, place of the highest, place of the lowest subgroup) in the flat row of numbers."""
    if large < 2 or not comparable:
        return []
    shared = point[large * len(METRICS) :].reshape(large, len(METRICS))
    pairs = []
    for metric in range(len(METRICS)):
        column = shared[:, metric]
        if np.isfinite(column).sum() >= 2:
            places = [(large + int(pick(column))) * len(METRICS) + metric for pick in (np.nanargmax, np.nanargmin)]
            pairs.append((metric, places[0], places[1]))
    return pairs
