"""``dicom:PATH``: a folder tree of DICOM files; patient, study and a few facts come from the headers, nothing else.

Columns: group (patient), study, series, modality, view, laterality, sex, age (years), scanner, and burned_in: YES where
the header says that text is burned into the pixels. Names, dates, free text and all other elements of a header are
never read into the table.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.datasets.addresses import frames
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.image_set import BURNED_IN
from embedkit.datasets.tabular import read_rows, typed
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

LABELS = "labels.csv"
_ELEMENTS = {
    "group": ("PatientID",),
    "study": ("StudyInstanceUID",),
    "series": ("SeriesInstanceUID",),
    "modality": ("Modality",),
    "view": ("ViewPosition",),
    "laterality": ("ImageLaterality", "Laterality"),
    "sex": ("PatientSex",),
    "age": ("PatientAge",),
    "scanner": ("ManufacturerModelName", "Manufacturer"),
    BURNED_IN: ("BurnedInAnnotation",),
}
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_KEYS = ("path", "study", "group")


def read(card: DatasetCard, place: Path) -> Contents:
    """Read a set of the catalog that is a tree of DICOM files."""
    return read_dicom(place)


def read_dicom(place: Path) -> Contents:
    """Read the headers of the DICOM files under `place`, and the labels of labels.csv where it lies there.

    labels.csv has the column path, study or group (the patient's id), by which it is found, and label.

    Raises:
        EmbedkitError: no such folder, no DICOM files in it, pydicom is missing, or labels.csv names no file of it.
    """
    if not place.is_dir():
        raise EmbedkitError(f"there is no folder {place}: write the folder that holds the DICOM files.")
    rows = []
    for file in walk(place).files:
        header = _header(place / file)
        if header is not None:
            rows += [{"path": address, **header} for address in frames(place, file)]
    if not rows:
        raise EmbedkitError(f"no DICOM files in {place}: for other images write folder:{place}.")
    table = pd.DataFrame(rows)
    table.insert(0, "id", table["path"])
    facts: dict[str, Any] = {"group": "patient (PatientID of the header)"}
    if not (place / LABELS).is_file():
        return Contents(table, {}, facts)
    return Contents(_labelled(table, place / LABELS), {"label": ("label",)}, facts)


def _header(path: Path) -> dict[str, Any] | None:
    """Return the columns of one file, or None where it is no DICOM file."""
    try:
        import pydicom
    except ImportError as error:
        raise EmbedkitError("reading DICOM headers needs pip install 'embedkit[dicom]'") from error
    wanted = [name for names in _ELEMENTS.values() for name in names]
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted, force=False)
    except (pydicom.errors.InvalidDicomError, OSError, EOFError):
        return None
    found = {column: _first(header, names) for column, names in _ELEMENTS.items()}
    return {**found, "age": _years(found["age"])}


def _first(header: Any, names: tuple[str, ...]) -> Any:
    written = (str(header.get(name) or "").strip() for name in names)
    return next(filter(None, written), np.nan)


def _years(age: Any) -> float:
    text = str(age)
    known = text[:-1].isdigit() and text[-1] in _YEARS
    return round(int(text[:-1]) * _YEARS[text[-1]], 2) if known else np.nan


def _labelled(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    rows = read_rows(file, ("label",))
    key = next((name for name in _KEYS if name in rows), None)
    if key is None:
        raise EmbedkitError(f"{file} needs one of the columns {', '.join(_KEYS)}, to tell whose label it is.")
    repeated = rows[rows.duplicated(key)]
    if len(repeated):
        raise EmbedkitError(f"{file}, line {repeated.index[0]}: '{repeated[key].iloc[0]}' stands further up too.")
    if not rows[key].isin(set(table[key])).any():
        raise EmbedkitError(f"{file}: no {key} of it is in the folder ('{rows[key].iloc[0]}' is its first).")
    by_key = rows.set_index(key)
    labels = table[key].map(by_key["label"])
    more = {str(name): table[key].map(typed(by_key[name])) for name in by_key if name not in {"label", *table}}
    return table.assign(label=labels.where(labels != "", np.nan), **more)
