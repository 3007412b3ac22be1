"""ImageSet: the first of the three values, a named table with one row per image."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit import images
from embedkit.cache.later import LateField, Later
from embedkit.datasets.packed import Lazy, PackedTable, Texts

if TYPE_CHECKING:
    import pandas as pd

BURNED_IN = "burned_in"


class Addresses(Lazy):
    """Where each image of a set is; one is made when it is asked for, since a list of them takes 100 bytes an image.

    Args:
        root: the folder that paths are relative to. paths: one may be a remote address.
        rows: which of the paths, by default all.
    """

    def __init__(self, root: Path, paths: Texts, rows: np.ndarray | None = None) -> None:
        self._root, self._paths, self._rows = root, paths, rows

    def __len__(self) -> int:
        return len(self._paths if self._rows is None else self._rows)

    def one(self, row: int) -> str:
        """As in `Lazy`."""
        path = self._paths[row if self._rows is None else self._rows[row]]
        # A Path per image costs seconds.
        return path if images.is_remote(path) else os.path.join(self._root, path)  # noqa: PTH118

    def of(self, rows: np.ndarray) -> "Addresses":
        """Return those of some rows, given by their positions."""
        return Addresses(self._root, self._paths, rows if self._rows is None else self._rows[rows])


@dataclass(frozen=True)
class ImageSet:
    """A data set before any pixel is read.

    Attributes:
        name: the name of its cache folder, such as ``ham10000``.
        root: the folder that ``table.path`` is relative to.
        table: one row per image in a fixed order, with a 0..n-1 index. Always ``id`` (unique str) and
            ``path`` (str, an address as in `embedkit.images`); ``label`` where the default target is one
            column; ``split`` (train, val or test) and ``group`` (patient or lesion, str) where the set has
            them; then every column of metadata the publisher gives. A missing value is NaN. Not to be written to.
        targets: what can be predicted: name -> its columns. One column is a multiclass label, several are
            the 0/1 columns of a multilabel target. The first is the default.
        facts: what is known of the set and travels with its embeddings: licence, citation, homepage,
            modality, resolution, what ``group`` means.
        where: the addresses of the images where the table holds pseudonyms for them, else None.
        pseudonyms: what made these.
    """

    name: str
    root: Path
    table: "LateField[pd.DataFrame]" = LateField()  # noqa: RUF009
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    where: Addresses | None = field(default=None, repr=False)
    pseudonyms: Callable[[str], str] | None = None

    def __len__(self) -> int:
        # Not through the attribute: that would unpack it.
        return len(vars(self)["table"])

    def put_away(self) -> None:
        """Pack the table until it is next asked for: an equal one comes then, and whoever has this one keeps it."""
        vars(self)["table"] = Later(len(self), PackedTable(self.table, {"path": self._paths}).table)

    def addresses(self) -> Addresses:
        """Return where each image is: root joined with its path, or a remote address, in the order of the table."""
        return Addresses(self.root, self._paths) if self.where is None else self.where

    @cached_property
    def _paths(self) -> Texts:
        return Texts(self.table["path"])


def burned_in(dataset: ImageSet) -> list[str]:
    """Return the paths of the images whose column ``burned_in`` says YES: text in their pixels may name a patient."""
    if BURNED_IN not in dataset.table:
        return []
    said = dataset.table[BURNED_IN].astype(object).map(lambda cell: str(cell).upper() == "YES")
    return dataset.table["path"][said].tolist()
