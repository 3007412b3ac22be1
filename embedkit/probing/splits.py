"""Who is learnt from and who is judged, so that no patient is on both sides unless the publisher put them there."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.sample import SPLITS, Sample
from embedkit.probing.target import Labels, in_order, listed

_ATTEMPTS = 20


@dataclass(frozen=True)
class Fold:
    """Positions of rows: fitted on ``train`` (and at last on ``val`` too, if it ``joins``), judged on ``test``.

    ``val`` is None where nobody set images apart for choices.
    """

    train: np.ndarray
    val: np.ndarray | None
    test: np.ndarray
    joins: bool = True

    def fitted(self) -> np.ndarray:
        """Return the rows the judged classifier is fitted on, in their order."""
        return self.train if self.val is None or not self.joins else np.union1d(self.train, self.val)


def published_fold(sample: Sample) -> Fold | None:
    """Return the fold that the split column names, None where it names no train or no test images."""
    train, val, test = (np.flatnonzero(sample.split == name) for name in SPLITS)
    return Fold(train, val if len(val) else None, test) if len(train) and len(test) else None


def other_fold(train: Sample, test: Sample) -> Fold:
    """Return the fold that learns from all of one set and judges another: its test images if it names any, else all."""
    val, judged = np.flatnonzero(train.split == "val"), np.flatnonzero(test.split == "test")
    rest = np.flatnonzero(train.split != "val")
    if not len(val) or not len(rest):
        rest, val = np.arange(len(train)), np.empty(0, int)
    return Fold(rest, val if len(val) else None, judged if len(judged) else np.arange(len(test)))


def count_folds(labels: Labels, groups: np.ndarray, wanted: int) -> tuple[int, str | None]:
    """Return into how many folds the rows can be cut so that every class can be on both sides, and what limits it.

    Raises:
        EmbedkitError: a class lies in fewer than 2 groups.
    """
    counts = groups_per_class(labels, groups)
    alone = [name for name, count in counts if count < 2]
    if alone:
        raise EmbedkitError(
            f"cross-validation needs every class in 2 groups (patients) or more, which is not so for {listed(alone)} "
            f"of the target '{labels.name}': leave those images out, join the class to another one, "
            "or choose another --group or --target"
        )
    rarest, fewest = min(counts, key=lambda item: item[1])
    if fewest >= wanted:
        return wanted, None
    return fewest, f"{fewest} folds instead of {wanted}: {rarest} lies in {fewest} groups only"


def inner_folds(labels: Labels, groups: np.ndarray, wanted: int) -> int:
    """Return how many folds of the training images to choose on; 0 where no class can be on both sides."""
    enough = [count for _, count in groups_per_class(labels, groups) if count >= 2]
    return min([wanted, *enough]) if enough else 0


def groups_per_class(labels: Labels, groups: np.ndarray) -> list[tuple[str, int]]:
    """Return each class in words with the number of groups it lies in; a label's 0 side counts as a class."""
    sides = [("the class", 1)] if labels.exclusive else [("the label", 1), ("the absence of", 0)]
    return [
        (f"{words} '{name}'", len(np.unique(groups[labels.truth[:, k] == value])))
        for k, name in enumerate(labels.classes)
        for words, value in sides
    ]


def grouped_folds(labels: Labels, groups: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut rows into stratified folds that no group straddles.

    Of several cuts (seeds that follow each other) the first is taken in which every class can be learnt in every
    fold; where none is found, the first.

    Args:
        labels: the truth of the n rows. groups: (n,). folds: how many, at least 2. seed: of the shuffle.

    Returns:
        (train, test) positions of each fold; every row is in test once.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    strata = _strata(labels, folds)
    codes = np.unique(groups, return_inverse=True)[1]
    kind = StratifiedKFold if codes.max() + 1 == len(codes) else StratifiedGroupKFold
    cuts = []
    for attempt in range(_ATTEMPTS):
        with warnings.catch_warnings():
            # A class with fewer images than folds is known here, and said elsewhere where it matters.
            warnings.simplefilter("ignore", UserWarning)
            cut = list(kind(folds, shuffle=True, random_state=seed + attempt).split(strata, strata, codes))
        if learnable(labels, [train for train, _ in cut]):
            return cut
        cuts.append(cut)
    return cuts[0]


def site_folds(sample: Sample, sites: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Hold out each site in turn; a patient who was at two sites is learnt from at none while either is judged.

    Args:
        sites: (n,) the site of each row.

    Returns:
        (site, train, test) of each site, positions.
    """
    found = []
    for site in in_order(np.unique(sites).tolist()):
        there = sites == site
        known = np.unique(sample.groups[there])
        found.append((site, np.flatnonzero(~there & ~np.isin(sample.groups, known)), np.flatnonzero(there)))
    return found


def learnable(labels: Labels, trains: Sequence[np.ndarray]) -> bool:
    """Return whether every class (or both sides of every label) is in every training part."""
    values = (1,) if labels.exclusive else (0, 1)
    return all((labels.truth[train] == value).any(axis=0).all() for train in trains for value in values)


def leakage(train: Sample, test: Sample, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Count the judged images that the classifier has met: by group (patient) and by identical bytes.

    Args:
        train, test: where the positions of ``pairs``, (fitted, judged) per fold, point into.

    Returns:
        ``images`` and ``share`` of judged images whose group was fitted too, ``groups`` and ``groups_share`` of
        judged groups, ``duplicates`` of judged images with the same bytes as a fitted one (or the same embedding,
        where the bytes are not known). None where the tables don't tell.
    """
    seen_group, copies, judged = [], [], np.concatenate([rows for _, rows in pairs])
    by_bytes = bool((train.digests != "").all() and (test.digests != "").all())
    learnt = _identities(train, by_bytes)
    there = learnt if test is train else _identities(test, by_bytes)
    for fitted, rows in pairs:
        known = np.unique(train.groups[fitted][train.grouped[fitted]])
        seen_group.append(test.grouped[rows] & np.isin(test.groups[rows], known))
        copies.append(np.isin(there[rows], learnt[fitted]))
    # Repeated folds judge an image several times, and it is one.
    images, shared = np.unique(judged), np.unique(judged[np.concatenate(seen_group)])
    groups, shared_groups = np.unique(test.groups[images]), np.unique(test.groups[shared])
    told = train.grouped.any() and test.grouped.any()
    found = {
        "images": len(shared),
        "share": len(shared) / len(images),
        "groups": len(shared_groups),
        "groups_share": len(shared_groups) / len(groups),
    }
    return {
        **{name: value if told else None for name, value in found.items()},
        "duplicates": len(np.unique(judged[np.concatenate(copies)])),
    }


def _identities(sample: Sample, by_bytes: bool) -> np.ndarray:
    if by_bytes:
        return sample.digests
    return np.array([blake2b(row.astype(np.float32).tobytes(), digest_size=16).hexdigest() for row in sample.X])


def _strata(labels: Labels, folds: int) -> np.ndarray:
    # A multilabel row is filed under its rarest label, so that rare labels are spread over the folds.
    rarity = np.nansum(labels.truth, axis=0)
    holds = labels.truth == 1
    strata = np.where(holds, rarity, np.inf).argmin(axis=1)
    strata[~holds.any(axis=1)] = len(rarity)
    return strata if np.bincount(strata).max() >= folds else np.zeros_like(strata)
