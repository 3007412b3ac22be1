"""What more labels would buy: the same probe on a part of the training patients, several times drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress
from embedkit.probing.evidence import Evidence
from embedkit.probing.fitting import Fitter, FoldFit, fit_folds
from embedkit.probing.measures.bootstrap import LEVEL, replicates_of
from embedkit.probing.measures.metrics import class_aucs
from embedkit.probing.measures.ranking import mean_of_defined
from embedkit.probing.plan import Plan
from embedkit.probing.sample import Sample
from embedkit.probing.settings import Settings
from embedkit.probing.splits import Fold

VALIDATION_SHOTS = 4
"""Images per class to choose the parameter on, at most: with few labels there are few to choose on as well."""


@dataclass(frozen=True)
class Amount:
    """How much is learnt from: ``kind`` is fraction (percent of the training groups) or shots (images per class)."""

    kind: str
    size: float

    @property
    def whole(self) -> bool:
        """Say whether nothing is left out."""
        return self.kind == "fraction" and self.size == 100


def amounts_of(plan: Plan, settings: Settings) -> list[Amount]:
    """Return the points of the curve that the settings ask for.

    Raises:
        EmbedkitError: more shots than a class has images for.
    """
    amounts = [Amount("fraction", size) for size in settings.fractions]
    amounts += [Amount("shots", size) for size in settings.shots]
    for fold in plan.folds:
        for amount in amounts:
            _refuse_too_many_shots(plan.train, fold, amount)
    return amounts


def learning_curve(
    fitter: Fitter,
    plan: Plan,
    settings: Settings,
    amounts: Sequence[Amount],
    fits: Sequence[FoldFit],
    progress: Progress,
) -> dict[str, Any]:
    """Fit on parts of the training images and judge on the same test images as the whole probe.

    Parts are drawn by group, and of shots each image of a class is of another group where there are enough. With
    shots, the parameter is chosen on min(shots, 4) further images per class, of groups that are not learnt from; with
    fractions as in the whole probe. The interval is of the mean over draws: replicates resample the judged groups and
    the draws.

    Args:
        fits: on all training images. progress: told of each further fit.

    Returns:
        ``draws``, and ``points``: per amount ``kind``, ``amount``, ``n_train`` (learnt from, mean over draws and
        folds), ``auc`` (an interval), ``deviation`` of the draws, and ``each``, the AUC of each draw.
    """
    if not amounts:
        return {}
    points = []
    for amount in amounts:
        draws = [
            (plan, fits) if amount.whole else _drawn(fitter, plan, settings, amount, draw, progress)
            for draw in range(draws_of(amount, settings))
        ]
        points.append(_point(fitter, draws, settings, amount))
    return {"draws": settings.draws, "points": points}


def draws_of(amount: Amount, settings: Settings) -> int:
    """Return how many parts of this size are drawn: of the whole there is one."""
    return 1 if amount.whole else settings.draws


def _drawn(
    fitter: Fitter, plan: Plan, settings: Settings, amount: Amount, draw: int, progress: Progress
) -> tuple[Plan, Sequence[FoldFit]]:
    folds = tuple(
        part_of(plan.train, fold, amount, settings.seed, draw, number) for number, fold in enumerate(plan.folds)
    )
    part = replace(plan, folds=folds)
    return part, fit_folds(fitter, part, progress)


def _point(
    fitter: Fitter, draws: Sequence[tuple[Plan, Sequence[FoldFit]]], settings: Settings, amount: Amount
) -> dict[str, Any]:
    values, replicates, sizes = [], [], []
    for plan, fits in draws:
        evidence = Evidence(
            plan,
            [fit.scores for fit in fits],
            [fit.temperature for fit in fits],
            fitter.head.probabilistic,
            settings.judged_level,
        )
        judged = evidence.judged
        point, found = replicates_of(
            lambda W, judged=judged: mean_of_defined(class_aucs(judged, W))[:, None],  # type: ignore[misc]
            evidence.groups,
            settings.replicates,
            settings.seed,
        )
        values.append(float(point[0]))
        replicates.append(found[:, 0])
        sizes.append(np.mean([len(fold.fitted()) for fold in plan.folds]))
    return {
        "kind": amount.kind,
        "amount": amount.size,
        "n_train": round(float(np.mean(sizes)), 1),
        **of_draws(values, np.stack(replicates), settings.seed),
    }


def of_draws(values: Sequence[float], replicates: np.ndarray, seed: int) -> dict[str, Any]:
    """Return ``auc``, ``deviation`` and ``each`` of the draws of a point, None where not defined.

    Args:
        values: the AUC of each draw, NaN where it has none. replicates, seed: as in `over_draws`.
    """
    defined = [None if np.isnan(value) else float(value) for value in values]
    known = [value for value in defined if value is not None]
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"auc": over_draws(values, replicates, seed), "deviation": deviation, "each": defined}


def over_draws(values: Sequence[float], replicates: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the mean over draws with its interval, in the types of JSON.

    Args:
        values: of each draw, NaN where it has none.
        replicates: (draws, R), of resampled groups. seed: the same one picks the same draws.
    """
    draws, count = replicates.shape
    picked = np.random.default_rng(seed).integers(draws, size=(draws, count))
    drawn = np.take_along_axis(replicates, picked, axis=0)
    # Of few images a replicate may have no value in any draw, and then it has no mean.
    known = (~np.isnan(drawn)).sum(axis=0)
    means = np.divide(np.nansum(drawn, axis=0), known, out=np.full(count, np.nan), where=known > 0)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail]).tolist() if known.any() else (None, None)
    method = f"{LEVEL:.0%} percentile, bootstrap of groups and of {draws} draws, {count} replicates"
    value = float(np.nanmean(values)) if not np.isnan(values).all() else None
    return {"value": value, "low": low, "high": high, "method": method}


def part_of(sample: Sample, fold: Fold, amount: Amount, seed: int, draw: int, number: int) -> Fold:
    """Return the fold with a part of its training images."""
    rng = np.random.default_rng([seed, draw, number])
    if amount.whole:
        return fold
    if amount.kind == "fraction":
        train = _fraction(sample, fold.train, amount.size / 100, rng)
        val = None if fold.val is None else _fraction(sample, fold.val, amount.size / 100, rng)
        return Fold(train, val, fold.test)
    shots = int(amount.size)
    order = rng.permutation(fold.train)
    train = _shots(sample, order, shots)
    # Validation images may not be of a group that is learnt from.
    source = rng.permutation(fold.val) if fold.val is not None else order
    rest = source[~np.isin(sample.groups[source], np.unique(sample.groups[train]))]
    val = _shots(sample, rest, min(shots, VALIDATION_SHOTS))
    # Learnt from too, they would make more shots of those that are told.
    return Fold(train, val if _ranks(sample, val) else None, fold.test, joins=False)


def _ranks(sample: Sample, rows: np.ndarray) -> bool:
    truth = sample.labels.truth[rows]
    return bool(len(rows) and ((truth == 1).any(axis=0) & (truth == 0).any(axis=0)).any())


def _fraction(sample: Sample, rows: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of a share of the groups, drawn within each class so that none is lost."""
    kept: list[np.ndarray] = []
    groups = sample.groups[rows]
    for members in _strata(sample, rows):
        names = rng.permutation(np.unique(groups[members]))
        kept.append(names[: max(1, round(share * len(names)))])
    return np.asarray(rows[np.isin(groups, np.concatenate(kept))])


def _strata(sample: Sample, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield positions in ``rows`` class by class, each group with the first class that it holds."""
    truth, groups = sample.labels.truth[rows], sample.groups[rows]
    taken = np.zeros(len(rows), bool)
    for k in np.argsort(np.nansum(truth, axis=0), kind="stable"):
        mine = np.isin(groups, groups[(truth[:, k] == 1) & ~taken]) & ~taken
        taken |= mine
        if mine.any():
            yield np.flatnonzero(mine)
    if not taken.all():
        yield np.flatnonzero(~taken)


def _shots(sample: Sample, order: np.ndarray, shots: int) -> np.ndarray:
    """Return so many rows per class (of labels: that hold it, and that don't), of as many groups as there are."""
    chosen: list[int] = []
    for value in (1,) if sample.labels.exclusive else (1, 0):
        for k in range(sample.labels.truth.shape[1]):
            members = order[sample.labels.truth[order, k] == value]
            # The first image of each group, then the second of each, and so on.
            rank = pd.Series(members).groupby(sample.groups[members]).cumcount()
            chosen += members[np.argsort(rank, kind="stable")][:shots].tolist()
    return np.unique(np.array(chosen, int))


def _refuse_too_many_shots(sample: Sample, fold: Fold, amount: Amount) -> None:
    if amount.kind != "shots":
        return
    for value in (1,) if sample.labels.exclusive else (1, 0):
        held = (sample.labels.truth[fold.train] == value).sum(axis=0)
        # A class that this fold does not learn at all is no question of shots.
        few = [(name, n) for name, n in zip(sample.labels.classes, held.tolist(), strict=True) if 0 < n < amount.size]
        if few:
            name, n = min(few, key=lambda item: item[1])
            side = "" if value else "without "
            raise EmbedkitError(
                f"{amount.size:g} shots are more than there are training images {side}of '{name}' ({n}): "
                "ask for fewer shots"
            )
