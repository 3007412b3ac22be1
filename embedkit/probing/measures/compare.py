"""Is one result better than another? Differences with intervals and p-values, paired where the images are the same.

Sources: Davison and Hinkley, Bootstrap Methods and their Application (1997); DeLong et al., Biometrics 44 (1988); Holm,
Scand. J. Stat. 6 (1979); the swapping of ranks after Venkatraman and Begg, Biometrika 83 (1996), here of the area.
"""

from collections.abc import Sequence

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.bootstrap import Interval, Statistic, interval, jackknife, kind_of, replicates_of
from embedkit.probing.measures.delong import delong
from embedkit.probing.measures.metrics import NAMES, Judged, measure
from embedkit.probing.measures.ranking import mean_of_defined

# Two AUCs closer than this are equal but for rounding.
_EQUAL = 1e-12


def paired(
    a: Judged, b: Judged, groups: np.ndarray, replicates: int, seed: int, names: Sequence[str] = NAMES
) -> dict[str, Interval]:
    """Return how much higher each number is in ``a`` than in ``b``, two results on the same images.

    Both are judged on the same resamples, so what is hard for both cancels out.

    Args:
        a, b: n rows each, in the same order. groups: (n,) of int codes 0..G-1 of what is resampled together.
        replicates, seed: as in `embedkit.probing.measures.bootstrap.resamples`. names: which of `NAMES` to compare.

    Returns:
        Per name the difference as an interval, with ``a`` and ``b`` (the two numbers), ``p`` (two-sided, None where not
        defined) and ``p_method``: DeLong's for the AUC of two classes, one fold and independent images, else of the
        bootstrap.

    Raises:
        EmbedkitError: the truth of the two is not the same; an unknown name.
    """
    _refuse_different(a, b)
    places = _places(names)
    of_a, of_b, count = _numbers(a, places), _numbers(b, places), len(places)

    def both(W: np.ndarray) -> np.ndarray:
        return np.column_stack([of_a(W), of_b(W)])

    point, draws = replicates_of(both, groups, replicates, seed)
    influences = jackknife(both, groups)
    found = _differences(
        names,
        (point[:count], point[count:]),
        draws[:, :count] - draws[:, count:],
        influences[:, :count] - influences[:, count:],
        f"paired {kind_of(groups)}",
    )
    if "auc" in found and len(groups) == int(groups.max()) + 1 and all(map(_one_curve, (a, b))):
        p = delong(a.truth[:, -1] == 1, np.column_stack([a.scores[:, -1], b.scores[:, -1]])).difference()[-1]
        found["auc"] |= {} if p is None else {"p": p, "p_method": "DeLong"}
    return found


def unpaired(
    a: Judged,
    groups_a: np.ndarray,
    b: Judged,
    groups_b: np.ndarray,
    replicates: int,
    seed: int,
    names: Sequence[str] = NAMES,
) -> dict[str, Interval]:
    """Return how much higher each number is in ``a`` than in ``b``, two results on images that have nothing in common.

    Each is resampled on its own. Arguments and result as in `paired`, with groups of either.

    Raises:
        EmbedkitError: an unknown name.
    """
    places = _places(names)
    seeds = np.random.SeedSequence(seed).spawn(2)
    sides = [
        (*replicates_of(_numbers(judged, places), groups, replicates, own), jackknife(_numbers(judged, places), groups))
        for judged, groups, own in ((a, groups_a, seeds[0]), (b, groups_b, seeds[1]))
    ]
    (point_a, draws_a, influences_a), (point_b, draws_b, influences_b) = sides
    # Of one group there are no draws, and then there is no interval of the difference either.
    kept = min(len(draws_a), len(draws_b))
    kind = "cluster bootstrap" if "cluster bootstrap" in (kind_of(groups_a), kind_of(groups_b)) else "bootstrap"
    return _differences(
        names,
        (point_a, point_b),
        draws_a[:kept] - draws_b[:kept],
        np.concatenate([influences_a, -influences_b]),
        f"unpaired {kind}",
    )


def permutation(a: Judged, b: Judged, groups: np.ndarray, permutations: int, seed: int) -> float | None:
    """Return the two-sided p of the difference of the macro AUCs if it didn't matter which result scored which patient.

    Scores become midranks within class and fold, so that the scales of the two don't matter; then for each group a coin
    decides whether the two swap theirs.

    Args:
        a, b: n rows each, in the same order. groups: (n,) of int codes 0..G-1 of what is swapped together.
        permutations: how many; p is at least 1 / (permutations + 1). seed: of the coins.

    Returns:
        None where no AUC is defined.

    Raises:
        EmbedkitError: the truth or the folds of the two are not the same.
    """
    _refuse_different(a, b)
    if not np.array_equal(a.fold, b.fold):
        raise EmbedkitError(
            "the two results come from different folds, whose scores can't be swapped: compare them by the bootstrap"
        )
    coins = np.random.default_rng(seed).integers(2, size=(permutations, int(groups.max()) + 1)).astype(bool)
    swaps = np.concatenate([np.zeros((1, coins.shape[1]), bool), coins])
    classes = range(1 if a.two_classes else 0, a.truth.shape[1])
    per_class = np.stack([_swapped_differences(a, b, k, groups, swaps) for k in classes], axis=1)
    differences = mean_of_defined(per_class)
    if np.isnan(differences[0]):
        return None
    extreme = np.abs(differences[1:]) >= abs(differences[0]) - _EQUAL
    return float((1 + extreme.sum()) / (permutations + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number after Holm (1979): each at most .05 keeps all errors under 5 %."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def bootstrap_p(draws: np.ndarray) -> float | None:
    """Return the two-sided p of a difference, twice the share of draws on the rarer side of 0; None without draws.

    The observed difference counts as one more draw on either side, so p is never 0.
    """
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return None
    fewer = min((defined <= _EQUAL).sum(), (defined >= -_EQUAL).sum())
    return min(1.0, float(2 * (1 + fewer) / (len(defined) + 1)))


def _differences(
    names: Sequence[str],
    points: tuple[np.ndarray, np.ndarray],
    draws: np.ndarray,
    influences: np.ndarray,
    kind: str,
) -> dict[str, Interval]:
    found = {}
    for name, a, b, drawn, influence in zip(names, *points, draws.T, influences.T, strict=True):
        sides = {side: None if np.isnan(value) else float(value) for side, value in (("a", a), ("b", b))}
        p = None if None in sides.values() else bootstrap_p(drawn)
        found[name] = {**interval(a - b, drawn, influence, kind), **sides, "p": p, "p_method": kind}
    return found


def _numbers(judged: Judged, places: list[int]) -> Statistic:
    return lambda W: measure(judged, W)[:, places]


def _places(names: Sequence[str]) -> list[int]:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise EmbedkitError(f"no number is called '{unknown[0]}': compare {', '.join(NAMES)}")
    return [NAMES.index(name) for name in names]


def _one_curve(judged: Judged) -> bool:
    whole = judged.two_classes or (judged.truth.shape[1] == 1 and not np.isnan(judged.truth).any())
    return whole and bool((judged.fold == judged.fold[0]).all())


def _refuse_different(a: Judged, b: Judged) -> None:
    if a.exclusive != b.exclusive or not np.array_equal(a.truth, b.truth, equal_nan=True):
        raise EmbedkitError(
            "the two results are not of the same images, classes and order, so they can't be paired: judge both on one "
            "set, or compare them unpaired"
        )


def _swapped_differences(a: Judged, b: Judged, k: int, groups: np.ndarray, swaps: np.ndarray) -> np.ndarray:
    """Return the AUC of a less that of b for one class under each swapping of groups, (permutations,)."""
    from scipy.stats import rankdata

    folds = []
    for rows in a.rows_of_folds(k):
        ranks = np.stack([2 * rankdata(side.scores[rows, k]) for side in (a, b)]).astype(np.int64)
        positive = a.truth[rows, k] == 1
        pairs = (np.where(swapped, ranks[::-1], ranks) for swapped in swaps[:, groups[rows]])
        folds.append([_auc_of_ranks(of_a, positive) - _auc_of_ranks(of_b, positive) for of_a, of_b in pairs])
    return mean_of_defined(np.array(folds).T)


def _auc_of_ranks(ranks: np.ndarray, positive: np.ndarray) -> float:
    """Return the AUC of whole numbers in 2..2n by counting, without a sort."""
    size = 2 * len(ranks) + 1
    held = np.bincount(ranks[positive], minlength=size)
    others = np.bincount(ranks[~positive], minlength=size)
    pairs = 2 * int(held.sum()) * int(others.sum())
    return float(held @ (2 * np.cumsum(others) - others)) / pairs if pairs else np.nan
