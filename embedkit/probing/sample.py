"""The labelled rows of an EmbeddingSet, checked once, in the form in which everything behind this point reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from embedkit.cache import EmbeddingSet, blocks_of, take_rows
from embedkit.errors import EmbedkitError, unknown_name
from embedkit.probing.target import Labels, as_names, listed, read_labels

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """Images that can be learnt from or judged.

    Attributes:
        X: (n, d) finite, float32, or float16 as a cache file holds them: `vectors` are what is computed with.
        labels: the truth of the n rows.
        ids: (n,) of str.
        groups: (n,) of str; a row without a group is a group of its own, with the copies of its file.
        grouped: (n,) of bool: the group is one that the table names.
        split: (n,) of train, val, test or "" (none).
        digests: (n,) of str, "" where unknown: the identity of the image's bytes.
        notes: what a reader must know of the choice of rows.
        extra: further columns of the table that a protocol asks for, by name, each (n,).
    """

    X: np.ndarray
    labels: Labels
    ids: np.ndarray
    groups: np.ndarray
    grouped: np.ndarray
    split: np.ndarray
    digests: np.ndarray
    notes: tuple[str, ...] = ()
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return a copy of the embeddings at these positions (…,), in float32 of shape (…, d)."""
        return take_rows(self.X, rows.ravel(), np.float32).reshape(*rows.shape, self.X.shape[1])

    def select_labels(self, rows: np.ndarray) -> Labels:
        """Return the labels of the rows at these positions."""
        return replace(self.labels, truth=self.labels.truth[rows])

    def select(self, rows: np.ndarray) -> "Sample":
        """Return the rows at these positions."""
        columns = ("ids", "groups", "grouped", "split", "digests")
        taken: dict[str, Any] = {name: getattr(self, name)[rows] for name in columns}
        taken["extra"] = {name: values[rows] for name, values in self.extra.items()}
        return replace(self, X=take_rows(self.X, rows), labels=self.select_labels(rows), **taken)


def read_sample(
    source: EmbeddingSet,
    target: str,
    columns: Sequence[str],
    group: str | None,
    classes: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    level: str = "image",
) -> Sample:
    """Read what can be judged from a set: rows that have a label.

    Args:
        source: the embeddings. target: its name. columns: its columns. classes: as in `read_labels`.
        group: the column of patients or lesions; by default ``group`` where the table has one.
        extra: other columns to keep. level: what will be judged; rows without a label are no part of a unit either.

    Raises:
        EmbedkitError: as in `read_labels`; an unknown column; a split other than train, val and test; NaN or
            infinite embeddings.
    """
    labels = read_labels(source.table, target, columns, classes)
    labelled = labels.labelled()
    notes = []
    if not labelled.all():
        units = "" if level == "image" else f": units of the level '{level}' are made of their other images"
        notes.append(
            f"{(~labelled).sum()} of {len(source)} images of {source.name} have no '{target}' and were left out{units}"
        )
        source = source.select(labelled)
        labels = replace(labels, truth=labels.truth[labelled])
    table = source.table
    groups, grouped = _groups(table, group, source.name)
    if grouped.any() and not grouped.all():
        notes.append(f"{(~grouped).sum()} images of {source.name} have no group: each counts as a group of its own")
    return Sample(
        X=_finite(source),
        labels=labels,
        ids=table["id"].to_numpy(str),
        groups=groups,
        grouped=grouped,
        split=_splits(table, source.name),
        digests=_text(table, "digest"),
        notes=tuple(notes),
        extra={name: _column(table, name, source.name).to_numpy() for name in extra},
    )


def _column(table: pd.DataFrame, name: str, data: str) -> pd.Series:
    if name not in table:
        columns = list(map(str, table.columns))
        raise unknown_name("column", name, columns, f"The table of {data} has {', '.join(columns)}.")
    return table[name]


def _groups(table: pd.DataFrame, column: str | None, data: str) -> tuple[np.ndarray, np.ndarray]:
    if column is not None and column not in table:
        columns = list(map(str, table.columns))
        raise unknown_name("group column", column, columns, f"The table of {data} has {', '.join(columns)}.")
    digests = _text(table, "digest")
    # Two copies of one file are one image: they stay together even where nobody names a patient.
    identity = np.where(digests != "", digests, table["id"].astype(str))
    own = pd.Series([f"image {name}" for name in identity], index=table.index)
    if column is None and "group" not in table:
        return own.to_numpy(str), np.zeros(len(table), bool)
    names = as_names(table[column or "group"])
    return names.fillna(own).to_numpy(str), names.notna().to_numpy()


def _splits(table: pd.DataFrame, data: str) -> np.ndarray:
    values = _text(table, "split")
    strange = sorted(set(values) - {*SPLITS, ""})
    if strange:
        raise EmbedkitError(
            f"the column 'split' of {data} holds {listed(strange)}: each must be train, val or test, or nothing"
        )
    return values


def _text(table: pd.DataFrame, column: str) -> np.ndarray:
    if column not in table:
        return np.full(len(table), "")
    return as_names(table[column]).fillna("").to_numpy(str)


def _finite(source: EmbeddingSet) -> np.ndarray:
    # Halves stay halves: only what is learnt from, or judged at one time, is widened.
    X = source.stored
    if X.dtype != np.float16:
        # Single precision is what encoders compute in; a value beyond its range shows up here as infinite.
        with np.errstate(over="ignore"):
            X = np.ascontiguousarray(X, dtype=np.float32)
    # A sum is finite only if all of its terms are, and makes no matrix of booleans.
    sums = [part.sum(axis=1, dtype=np.float64) for part in blocks_of(X)]
    suspects = np.flatnonzero(~np.isfinite(np.concatenate(sums)))
    bad = suspects[~np.isfinite(X[suspects]).all(axis=1)]
    if len(bad):
        named = listed(source.table["id"].iloc[bad].astype(str).tolist())
        raise EmbedkitError(
            f"{len(bad)} of {len(X)} embeddings of {source.name} hold NaN or infinite values (ids {named}): "
            "extract them again in fp32, or leave these images out"
        )
    return X
