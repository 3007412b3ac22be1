"""ISIC 2018 Task 3, test: a one-hot ground truth whose columns are HAM10000's classes in capitals."""

from pathlib import Path

import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import find_images, first_mark, require_unique
from embedkit.datasets.tabular import read_rows
from embedkit.errors import EmbedkitError

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the ground truth; every row is a test image."""
    mark = first_mark(place, card.marks)
    rows = read_rows(place / mark, ("image", *CLASSES))
    names = list(rows["image"])
    require_unique(names, place / mark)
    hot = rows[list(CLASSES)].isin(["1", "1.0"])
    if not (hot.sum(axis=1) == 1).all():
        line = hot.index[hot.sum(axis=1) != 1][0]
        raise EmbedkitError(f"{place / mark}, line {line}: '{rows['image'][line]}' needs 1.0 in exactly one class.")
    paths, facts = find_images(place, names, mark, ".jpg")
    labels = [str(column).lower() for column in hot.idxmax(axis=1)]
    table = pd.DataFrame({"id": names, "path": paths, "label": labels, "split": "test"})
    return Contents(table, facts=facts)
