"""One judgement for the images of one group, lesion, eye or patient, from all of them."""

from collections.abc import Sequence
from dataclasses import replace
from shlex import join

import numpy as np
import pandas as pd

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.calibration import probabilities
from embedkit.probing.sample import Sample
from embedkit.probing.target import Labels, as_names, listed

LEVELS = ("image", "group")
_LEAST_PROBABILITY = 1e-15


def level_columns(level: str) -> list[str]:
    """Return the columns that a level reads beside the group: ``study``, or those of ``group+laterality``."""
    return [part for part in level.split("+") if part not in LEVELS]


def units_of(sample: Sample, level: str) -> np.ndarray:
    """Return the name of what each row is a picture of, (n,): its image, its group, or its value in a column.

    Of several, as in ``group+laterality``, the values stand together, in quotes where they hold a space: "a b" and "c"
    are no "a" and "b c". A row without a value is a unit of its own.
    """
    if level in LEVELS:
        return sample.ids if level == "image" else sample.groups
    columns = [sample.groups if part == "group" else sample.extra[part] for part in level.split("+")]
    parts = [as_names(pd.Series(column)).to_numpy(object) for column in columns]
    written = join if len(parts) > 1 else "".join
    rows = zip(sample.ids, *parts, strict=True)
    return np.array([f"image {own}" if any(map(pd.isna, names)) else written(names) for own, *names in rows])


def grouped_by_units(sample: Sample, level: str) -> Sample:
    """Return the sample with the units of the level for groups, where the table knows none."""
    columns = level_columns(level)
    if sample.grouped.any() or not columns or "group" in level.split("+"):
        return sample
    known = np.all([as_names(pd.Series(sample.extra[column])).notna() for column in columns], axis=0)
    note = f"no groups (patients) are known: the units of the level '{level}' are taken for them"
    groups = np.where(known, units_of(sample, level), sample.groups)
    return replace(sample, groups=groups, grouped=known, notes=(*sample.notes, note))


def pool_embeddings(sample: Sample, level: str, how: str = "mean") -> Sample:
    """Return one row per unit and split: the embeddings of its images, pooled.

    Args:
        how: ``mean``, or ``max`` of each dimension.

    Raises:
        EmbedkitError: the images of a unit have different labels, or belong to several groups.
    """
    units, codes = _units_in_splits(sample, level)
    first = np.unique(codes, return_index=True)[1]
    truth = unit_truth(sample.labels, units, codes, level)
    refuse_across_groups(sample, level)
    extra = {name: agreed(values, codes) for name, values in sample.extra.items()}
    return replace(
        sample.select(first),
        X=pooled(sample.X.astype(np.float32, copy=False), codes, how),
        labels=replace(sample.labels, truth=truth),
        ids=units[first],
        # What comes of several images has no bytes.
        digests=np.full(len(first), ""),
        extra=extra,
    )


def refuse_across_groups(sample: Sample, level: str) -> None:
    """Refuse units that are no part of one group: folds of groups would tear them.

    Raises:
        EmbedkitError: the images of a unit, in one split, belong to several groups.
    """
    units, codes = _units_in_splits(sample, level)
    counts = pd.Series(sample.groups).groupby(codes).nunique().to_numpy()
    if (counts > 1).any():
        first = np.unique(codes, return_index=True)[1]
        raise EmbedkitError(
            f"the level '{level}' cuts across groups (patients): the images of "
            f"{listed(units[first[counts > 1]].tolist())} belong to several. Choose another level or another --group"
        )


def unit_truth(labels: Labels, units: np.ndarray, codes: np.ndarray, level: str) -> np.ndarray:
    """Return the truth (u, K) of the units numbered by ``codes`` (n,); a label not judged in any image stays NaN.

    Raises:
        EmbedkitError: the images of a unit have different labels.
    """
    known = pd.DataFrame(labels.truth).groupby(codes)
    low, high = known.min().to_numpy(), known.max().to_numpy()
    mixed = np.flatnonzero(((low != high) & ~np.isnan(low)).any(axis=1))
    if len(mixed):
        first = np.unique(codes, return_index=True)[1]
        raise EmbedkitError(
            f"{len(mixed)} of {len(low)} units of the level '{level}' have images with different labels of the target "
            f"'{labels.name}' ({listed(units[first[mixed]].tolist())}): judge per image, choose a level within "
            "which the label is one, or mend the labels"
        )
    return np.asarray(high, float)


def pool_scores(scores: np.ndarray, codes: np.ndarray, exclusive: bool, probabilistic: bool) -> np.ndarray:
    """Return scores (u, K) of the units from those of their images (n, K).

    Probabilities are averaged and turned back into scores; margins, which are none, are averaged as they are.
    """
    if not probabilistic:
        return means(scores, codes)
    p = np.clip(means(probabilities(scores, exclusive), codes), 0, 1)
    with np.errstate(divide="ignore"):
        if exclusive and p.shape[1] > 2:
            return np.asarray(np.log(p))
        kept = np.clip(p, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        logits = np.log(kept) - np.log1p(-kept)
    return np.column_stack([-logits[:, 1], logits[:, 1]]) if exclusive else np.asarray(logits)


def means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mean of the rows (n, d) that have the same code 0..u-1, (u, d), in the type of ``values``."""
    from scipy.sparse import csr_array

    counts = np.bincount(codes)
    weights = (1 / counts[codes]).astype(values.dtype)
    pooling = csr_array((weights, (codes, np.arange(len(codes)))), shape=(len(counts), len(codes)))
    return np.asarray(pooling @ values)


def maxima(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the greatest of each dimension of the rows (n, d) that have the same code 0..u-1, (u, d)."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.asarray(np.maximum.reduceat(values[order], starts, axis=0))


def pooled(values: np.ndarray, codes: np.ndarray, how: str) -> np.ndarray:
    """Return `means` or `maxima`."""
    return maxima(values, codes) if how == "max" else means(values, codes)


def _units_in_splits(sample: Sample, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the name of the unit of each row, (n,), and which unit of which split it belongs to, 0..u-1."""
    units = units_of(sample, level)
    return units, pd.factorize(pd.MultiIndex.from_arrays([sample.split, units]))[0]


def notes_on_differing(sample: Sample, level: str, columns: Sequence[str]) -> list[str]:
    """Return in which columns of subgroups the images of units differ, which have no value of it then."""
    codes, notes = _units_in_splits(sample, level)[1], []
    for column in columns:
        several = pd.Series(sample.extra[column], dtype=object).groupby(codes).nunique() > 1
        if several.any():
            notes.append(
                f"{several.sum()} of {len(several)} units of the level '{level}' have images with different values of "
                f"'{column}': they count as missing there"
            )
    return notes


def agreed(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the value of each unit, None where its images differ."""
    column = pd.Series(values, dtype=object).groupby(codes)
    return np.array(
        [None if many > 1 else one for one, many in zip(column.first(), column.nunique(), strict=True)], object
    )
