"""HAM10000: one metadata file, the images in two folders (or one), several images of a lesion."""

from pathlib import Path

import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import find_images, first_mark, require_unique
from embedkit.datasets.tabular import as_text, read_rows, typed


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the metadata; every row is an image, whether its file is there or not."""
    mark = first_mark(place, card.marks)
    rows = read_rows(place / mark, ("image_id", "lesion_id", "dx"))
    require_unique(list(rows["image_id"]), place / mark)
    paths, facts = find_images(place, list(rows["image_id"]), mark, ".jpg")
    # These images are the official training set of ISIC 2018 Task 3, whose test set is `isic2018`.
    named = {"id": rows["image_id"], "path": paths, "label": as_text(rows["dx"])}
    table = pd.DataFrame({**named, "split": "train", "group": as_text(rows["lesion_id"])})
    for column in rows.columns.difference(["image_id", "lesion_id", "dx"], sort=False):
        table[column] = typed(rows[column])
    return Contents(table.reset_index(drop=True), facts=facts)
