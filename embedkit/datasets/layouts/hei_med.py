"""HEI-MED: labels.csv with one row per fundus image, one image per patient."""

from pathlib import Path

import pandas as pd

from embedkit.datasets.addresses import inside
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import first_mark, require_unique
from embedkit.datasets.tabular import as_text, read_rows, typed
from embedkit.errors import EmbedkitError

_LABELS = ("exudate", "microaneurysm", "has_gnd")


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the labels; every row is an image, whether its file is there or not."""
    mark = first_mark(place, card.marks)
    rows = read_rows(place / mark, ("file", "image_id", *_LABELS))
    require_unique(list(rows["image_id"]), place / mark)
    paths = [inside(place, file) for file in rows["file"]]
    if None in paths:
        line = rows.index[paths.index(None)]
        raise EmbedkitError(f"{place / mark}, line {line}: '{rows['file'][line]}' is outside {place}.")
    table = pd.DataFrame(
        {"id": rows["image_id"], "path": paths, "label": as_text(rows["exudate"]), "group": rows["image_id"]}
    )
    for column in rows.columns.difference(["file", "image_id", "exudate"], sort=False):
        table[column] = as_text(rows[column]) if column in _LABELS else typed(rows[column])
    return Contents(table.reset_index(drop=True))
