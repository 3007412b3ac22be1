"""CBIS-DDSM: four case descriptions, a row per abnormality, whose paths are those of the archive, not of a download.

A download by the publisher's retriever keeps the first folder of a path (the case) and names the series by what it
shows; the copy in JPEG keeps the folder of the series. Full mammogram and crops are two sets of the catalog.
"""

import posixpath
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import first_there
from embedkit.datasets.tabular import as_text, read_rows, typed
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

_FILES = {f"{kind}_case_description_{split}_set.csv": split for kind in ("mass", "calc") for split in ("train", "test")}
_NEEDED = ("patient_id", "left or right breast", "image view", "abnormality type", "pathology")
_MALIGNANT = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign"}
_CROPPED, _FULL = "cropped image file path", "image file path"
_PATHS = (_FULL, _CROPPED, "ROI mask file path")
# The series of a case as the retriever names them; the last folder but one of a path.
_SERIES = {_FULL: "full mammogram", _CROPPED: "cropped"}


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the case descriptions; a row per image, malignant where any abnormality on it is.

    Raises:
        EmbedkitError: a description lacks a column or tells another pathology, or none of its images is there.
    """
    column = str(card.read["part"])
    files = _Files(walk(place).files)
    there = {name: first_there(place, (name, f"csv/{name}")) for name in _FILES}
    tables = [_case_descriptions(place / file, column, _FILES[name], files) for name, file in there.items() if file]
    table = pd.concat(tables, ignore_index=True)
    table["found"] = table["path"] != ""
    if not table["found"].any():
        raise EmbedkitError(f"{place} lists {len(table)} images, and none of them is under it. Put them there.")
    # An absent image keeps the path that the publisher wrote.
    table["path"] = table["path"].where(table["found"], table["written"])
    table = _one_row_per_image(table.drop(columns="written"))
    return Contents(
        table.drop(columns="found"), facts=_facts(table, [name for name, file in there.items() if not file])
    )


def _facts(table: pd.DataFrame, absent: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"absent_files": absent} if absent else {}
    missing = int((~table["found"]).sum())
    return {**facts, "missing": missing} if missing else facts


def _case_descriptions(file: Path, column: str, split: str, files: "_Files") -> pd.DataFrame:
    rows = read_rows(file, (*_NEEDED, column))
    strange = rows[~rows["pathology"].isin(list(_MALIGNANT))]
    if len(strange):
        raise EmbedkitError(f"{file}, line {strange.index[0]}: the pathology '{strange['pathology'].iloc[0]}' is none.")
    written = rows[column].str.strip()
    table = pd.DataFrame({"id": written.map(_case)})
    table["path"] = [files.find(path, column) or "" for path in written]
    table["written"] = written
    table["label"] = rows["pathology"].map(_MALIGNANT)
    table["split"] = split
    table["group"] = rows["patient_id"]
    table["laterality"] = rows["left or right breast"].str.lower()
    table["view"] = rows["image view"]
    table["abnormality"] = as_text(rows["abnormality type"])
    table["pathology"] = rows["pathology"]
    used = {*_NEEDED, *_PATHS, "image view"}
    for name in rows:
        if name not in used:
            table[str(name).replace("_", " ")] = typed(rows[name])
    return table


def _one_row_per_image(table: pd.DataFrame) -> pd.DataFrame:
    """Return the first row of each image, or its first malignant one."""
    worst = table.assign(benign=table["label"] != "malignant").sort_values("benign", kind="stable")
    kept = worst.drop_duplicates("id").index.sort_values()
    return table.loc[kept].reset_index(drop=True)


def _case(path: str) -> str:
    return path.split("/", 1)[0]


class _Files:
    """The files under a folder by case and by series, as the two downloads keep them."""

    def __init__(self, files: list[str]) -> None:
        self.all = set(files)
        self.by_folder: dict[str, list[str]] = defaultdict(list)
        for file in files:
            for folder in posixpath.dirname(file).split("/"):
                self.by_folder[folder].append(file)

    def find(self, written: str, column: str) -> str | None:
        """Return the path of an image of the archive, or None."""
        if written in self.all:
            return written
        series = posixpath.basename(posixpath.dirname(written))
        near = self.by_folder.get(series) or self.by_folder.get(_case(written), [])
        named = [file for file in near if _SERIES[column] in file]
        # Crop and mask may share a series; the archive's order of the two is that of their file names.
        same = [file for file in near if posixpath.basename(file) == posixpath.basename(written)]
        return next(iter(named or same or near), None)
