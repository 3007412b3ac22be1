"""From the columns of a table to a truth that can be learnt: which classes, which rows, 1, 0 or not judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from embedkit.errors import EmbedkitError, unknown_name

_SHOWN = 5


@dataclass(frozen=True)
class Labels:
    """The truth of one target.

    Attributes:
        name: of the target.
        classes: in sorted order, numbers by value; of a multilabel target its columns as they stand.
        truth: (n, K) of 1, 0 or NaN (not judged); one 1 per labelled row where ``exclusive``.
        exclusive: True for classes, False for labels that may hold together.
    """

    name: str
    classes: tuple[str, ...]
    truth: np.ndarray
    exclusive: bool

    def labelled(self) -> np.ndarray:
        """Return (n,) of bool: the rows that have at least one label."""
        return np.asarray(~np.isnan(self.truth).all(axis=1))


def choose_target(name: str | None, targets: dict[str, tuple[str, ...]], data: str) -> str:
    """Return the name of the target: the one asked for, else the first.

    Raises:
        EmbedkitError: there is no target at all, or none of this name.
    """
    if not targets:
        raise EmbedkitError(
            f"{data} has no label, so nothing can be predicted. A table (csv:) has its classes in a column called "
            "label (rename it), or 0 and 1 in columns label:NAME; of a folder (folder:) each class is one inside it"
        )
    if name is None:
        return next(iter(targets))
    if name not in targets:
        raise unknown_name("target", name, targets, f"{data} has {', '.join(targets)}.")
    return name


def read_labels(
    table: pd.DataFrame, target: str, columns: Sequence[str], classes: Sequence[str] | None = None
) -> Labels:
    """Read a target from its columns.

    Args:
        table: n rows. target: its name. columns: one column of classes, or several of 0 and 1.
        classes: those of the training set, where the rows are to be judged by a classifier that knows them.

    Raises:
        EmbedkitError: a column is missing, no row has a label, a multilabel column holds something other than
            0 and 1, or a class is not among ``classes``.
    """
    absent = [column for column in columns if column not in table]
    if absent:
        raise EmbedkitError(f"the target '{target}' needs the column '{absent[0]}', which the table does not have")
    if len(columns) > 1:
        truth = np.column_stack([_binary(table[column], target) for column in columns])
        if np.isnan(truth).all():
            raise EmbedkitError(f"no image has a label for the target '{target}': choose another one")
        return Labels(target, tuple(columns), truth, exclusive=False)
    names = as_names(table[columns[0]])
    counts = names.value_counts()
    if counts.empty:
        raise EmbedkitError(f"no image has a label for the target '{target}': choose another one")
    known = tuple(classes) if classes else in_order(counts.index.tolist())
    _refuse_unknown(counts, known, target)
    position = {label: number for number, label in enumerate(known)}
    codes = names.map(position).to_numpy(float, na_value=np.nan)
    truth = np.where(np.isnan(codes)[:, None], np.nan, codes[:, None] == np.arange(len(known)))
    return Labels(target, known, truth, exclusive=True)


def as_names(values: pd.Series) -> pd.Series:
    """Return values as text with NaN for what is missing or blank; 3.0 is "3", so that a gap changes no name."""
    text = values.astype(object).map(_name)
    return text.where(text.notna() & (text != ""), np.nan)


def in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels sorted, by value where all of them are numbers."""
    try:
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    except ValueError:
        return tuple(sorted(labels))


def listed(items: Sequence[str]) -> str:
    """Return the first few items and how many more there are."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(list(items)[:_SHOWN]) + more


def _name(value: object) -> object:
    if pd.isna(value):  # type: ignore[call-overload]
        return np.nan
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _binary(values: pd.Series, target: str) -> np.ndarray:
    names = as_names(values).replace({"True": "1", "False": "0"})
    wrong = names[names.notna() & ~names.isin(["0", "1"])]
    if len(wrong):
        raise EmbedkitError(
            f"the column '{values.name}' of the multilabel target '{target}' holds '{wrong.iloc[0]}': "
            "each must hold 1, 0 or nothing"
        )
    return names.astype(float).to_numpy()


def _refuse_unknown(counts: pd.Series, known: Sequence[str], target: str) -> None:
    strange = [label for label in counts.index if label not in known]
    if strange:
        named = listed([f"'{label}' ({counts[label]} images)" for label in strange])
        raise EmbedkitError(
            f"the test images of the target '{target}' have classes that no training image has: {named}. "
            f"The training images have {listed(list(known))}. Leave those images out, rename their labels, "
            "or train on a set that has them"
        )
