"""Intervals from resampling groups, so that the images of one patient are in or out together.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile method; resampling of whole
clusters after Field and Welsh, J. R. Stat. Soc. B 69 (2007).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

LEVEL = 0.95
_CELLS_AT_ONCE = 4_000_000

Interval = dict[str, Any]
Statistic = Callable[[np.ndarray], np.ndarray]


def resamples(groups: np.ndarray, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the replicates' weights in pieces of shape (r, n), how often each image is drawn.

    Args:
        groups: (n,) of int codes 0..G-1. Each replicate draws G groups with replacement.
        replicates: how many in all. seed: the same seed gives the same replicates.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    piece = max(1, min(replicates, _CELLS_AT_ONCE // len(groups)))
    for start in range(0, replicates, piece):
        drawn = [
            np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(min(piece, replicates - start))
        ]
        yield np.stack(drawn).take(groups, axis=1)


def intervals(statistic: Statistic, groups: np.ndarray, replicates: int, seed: int) -> list[Interval]:
    """Return each number of a statistic with its 95 % percentile interval.

    Args:
        statistic: maps weights (r, n) to numbers (r, m), NaN where one is not defined.
        groups: (n,) of int codes 0..G-1. replicates, seed: as in `resamples`.

    Returns:
        m of ``value``, ``low``, ``high`` (None where not defined) and ``method``, which tells how many replicates
        the interval rests on where it isn't all of them.
    """
    point = statistic(np.ones((1, len(groups)), np.int64))[0]
    count = int(groups.max()) + 1
    if count < 2:
        return [_interval(value, np.empty(0), "no interval: all images belong to one group") for value in point]
    drawn = np.concatenate([statistic(weights) for weights in resamples(groups, replicates, seed)])
    kind = "bootstrap" if count == len(groups) else "cluster bootstrap"
    return [_percentile(value, draws, kind) for value, draws in zip(point, drawn.T, strict=True)]


def _percentile(value: float, draws: np.ndarray, kind: str) -> Interval:
    if np.isnan(value):
        return _interval(value, np.empty(0), "not defined: one side is empty")
    defined = draws[~np.isnan(draws)]
    share = f"{len(draws)}" if len(defined) == len(draws) else f"{len(defined)} of {len(draws)}"
    return _interval(value, defined, f"{LEVEL:.0%} percentile, {kind}, {share} replicates")


def _interval(value: float, draws: np.ndarray, method: str) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail]).tolist() if len(draws) else (None, None)
    return {"value": None if np.isnan(value) else float(value), "low": low, "high": high, "method": method}
