"""Kermany's chest X-rays: split and class are folders; patient and kind of pneumonia are in the file name."""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

# The names of the two releases. In the first, bacterial and viral patients are numbered apart (person7_bacteria
# and person7_virus are two children), and so are the two series of normal films; in the second, the number is
# the patient's.
_NAMES = (
    re.compile(r"(?P<patient>person\d+_(?P<kind>bacteria|virus))_\d+(_\d+)?", re.IGNORECASE),
    re.compile(r"(?P<patient>(NORMAL2-)?IM-\d+)-\d+(-\d+)?", re.IGNORECASE),
    re.compile(r"(?P<kind>BACTERIA|VIRUS|NORMAL)-(?P<patient>\d+)-\d+", re.IGNORECASE),
)


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the folders train, val and test of NORMAL and PNEUMONIA that are there."""
    rows = []
    for split in ("train", "val", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            folder = place / split / label
            for file in walk(folder).files if folder.is_dir() else ():
                path = f"{split}/{label}/{file}"
                rows.append((path, path, label, split, *_from_name(file, label)))
    if not rows:
        raise EmbedkitError(f"no images in the folders of '{card.name}' under {place}: unpack them there.")
    columns = ["id", "path", "label", "split", "group", "subtype"]
    return Contents(pd.DataFrame(rows, columns=columns))


def _from_name(file: str, label: str) -> tuple[str | float, str | float]:
    """Return patient and kind of pneumonia, NaN where the name follows none of the publisher's rules."""
    matches = (pattern.fullmatch(PurePosixPath(file).stem) for pattern in _NAMES)
    match = next(filter(None, matches), None)
    named = match.groupdict() if match else {}
    kind = "normal" if label == "NORMAL" else (named.get("kind") or "").lower()
    return named.get("patient", np.nan), kind or np.nan
