"""ImageSet: the first of the three values, a named table with one row per image."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import images

if TYPE_CHECKING:
    import pandas as pd

BURNED_IN = "burned_in"


@dataclass(frozen=True)
class ImageSet:
    """A data set before any pixel is read.

    Attributes:
        name: the name of its cache folder, such as ``ham10000``.
        root: the folder that ``table.path`` is relative to.
        table: one row per image in a fixed order, with a 0..n-1 index. Always ``id`` (unique str) and
            ``path`` (str, an address as in `embedkit.images`); ``label`` where the default target is one
            column; ``split`` (train, val or test) and ``group`` (patient or lesion, str) where the set has
            them; then every column of metadata the publisher gives. A missing value is NaN.
        targets: what can be predicted: name -> its columns. One column is a multiclass label, several are
            the 0/1 columns of a multilabel target. The first is the default.
        facts: what is known of the set and travels with its embeddings: licence, citation, homepage,
            modality, resolution, what ``group`` means.
        where: the addresses of the images where the table holds pseudonyms for them. pseudonyms: what made these.
    """

    name: str
    root: Path
    table: "pd.DataFrame"
    targets: dict[str, tuple[str, ...]]
    facts: dict[str, Any] = field(default_factory=dict)
    where: tuple[str, ...] = field(default=(), repr=False)
    pseudonyms: Callable[[str], str] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def addresses(self) -> list[str]:
        """Return where each image is: root joined with its path, or a remote address, in the order of the table."""
        if self.pseudonyms is not None:
            return list(self.where)
        root = str(self.root)
        return [
            path if images.is_remote(path) else os.path.join(root, path)  # noqa: PTH118 - a Path per image costs seconds
            for path in self.table["path"]
        ]


def burned_in(dataset: ImageSet) -> list[str]:
    """Return the paths of the images whose column ``burned_in`` says YES: text in their pixels may name a patient."""
    if BURNED_IN not in dataset.table:
        return []
    said = dataset.table[BURNED_IN].astype(object).map(lambda cell: str(cell).upper() == "YES")
    return dataset.table["path"][said].tolist()
