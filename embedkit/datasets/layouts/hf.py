"""``hf:PATH``: a directory as Hugging Face's ``datasets`` reads or writes it.

What ``save_to_disk`` wrote (Arrow), Parquet with the images in it, an image folder with metadata.csv or metadata.jsonl,
or plain class folders. Images in Arrow and Parquet stay there: a row's path names file, column and row.
"""

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from embedkit.datasets.addresses import file_of
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.columnar import FILE_NAME, from_tables
from embedkit.datasets.contents import Contents
from embedkit.datasets.errors import DatasetNotFound
from embedkit.datasets.layouts.folder import read_folder
from embedkit.datasets.layouts.table import from_rows
from embedkit.datasets.sharded import require_all, split_of
from embedkit.datasets.splits import SPLITS
from embedkit.datasets.tabular import Dialect, read_rows, read_text
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

_STATE = "state.json"
_METADATA = ("metadata.csv", "metadata.jsonl")
_TABLES = (".parquet", ".arrow")


def read(card: DatasetCard, place: Path) -> Contents:
    """Read a set of the catalog that comes as such a directory."""
    return read_hf(place)


def read_hf(place: Path) -> Contents:
    """Read the labels and other columns of a directory; its images are not read.

    Columns of class labels are targets under their own names, lists of them multilabel ones. ``label``, ``group`` and
    ``split`` are what they are in a CSV; the split is also told by folders and names (``train/``, ``test-00000-of-1``).

    Raises:
        EmbedkitError: no such directory, nothing of these in it, a file that is damaged or missing, pyarrow is missing.
    """
    if place.is_file() and place.suffix in _TABLES:
        return from_tables(place.parent, [(place.name, split_of(place.name))])
    if not place.is_dir():
        raise DatasetNotFound(f"there is no folder {place}, and no Parquet or Arrow file: check the path.")
    found = walk(place)
    others = [name for name in found.skipped if not posixpath.basename(name).startswith(".")]
    states = [name for name in sorted(others) if posixpath.basename(name) == _STATE]
    tables = sorted(name for name in others if name.endswith(_TABLES))
    metadata = [name for name in sorted(others) if posixpath.basename(name) in _METADATA]
    if states:
        saved = [(file, split) for name in states for file, split in _saved(place, name)]
        return from_tables(place, saved)
    if metadata:
        return _from_metadata(place, metadata, found.files)
    if tables:
        require_all(place, tables)
        return from_tables(place, [(name, split_of(name)) for name in tables])
    return read_folder(place)


def _saved(place: Path, state: str) -> Iterator[tuple[str, str]]:
    """Yield the files that ``save_to_disk`` wrote beside a state.json, and their split."""
    folder = posixpath.dirname(state)
    try:
        written = json.loads(read_text(place / state))
        files = [item["filename"] for item in written["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise EmbedkitError(f"{place / state} is not what save_to_disk writes ({error!r}): save it again.") from error
    if written.get("_indices_data_files"):
        raise EmbedkitError(f"{place / state} names an order of rows of its own: save flatten_indices() of the set.")
    split = split_of(f"{folder}/") or SPLITS.get(str(written.get("_split")).lower(), "")
    for file in files:
        path = posixpath.join(folder, file)
        if not (place / path).is_file():
            raise EmbedkitError(f"{place / state} names {file}, which is not there: copy the whole folder again.")
        yield path, split


def _from_metadata(place: Path, metadata: list[str], images: list[str]) -> Contents:
    parts: list[Contents] = []
    for name in metadata:
        folder = posixpath.dirname(name)
        rows = _json_lines(place / name) if name.endswith("l") else _csv(place / name)
        part = from_rows(rows, place / name, place / folder)
        for column in ("id", "path"):
            part.table[column] = [posixpath.join(folder, cell) for cell in part.table[column]]
        if "split" not in part.table and any(split_of(path) for path in part.table["path"]):
            part.table["split"] = [split_of(f"{posixpath.dirname(path)}/") or np.nan for path in part.table["path"]]
        parts.append(part)
    table = pd.concat([part.table for part in parts], ignore_index=True)
    twice = table["path"][table["path"].duplicated()]
    if len(twice):
        raise EmbedkitError(f"{place}: '{twice.iloc[0]}' is listed by two of {', '.join(metadata)}: keep one.")
    unlisted = len(set(images) - set(map(file_of, table["path"])))
    facts = {**parts[0].facts, **({"unlisted": unlisted} if unlisted else {})}
    return Contents(table, parts[0].targets, facts)


def _csv(file: Path) -> pd.DataFrame:
    return read_rows(file, ("path",), Dialect(rename={FILE_NAME: "path"}))


def _json_lines(file: Path) -> pd.DataFrame:
    """Return the objects of a JSON Lines file as text; what is no number, text or truth is left out."""
    rows: dict[int, dict[str, str]] = {}
    for line, text in enumerate(read_text(file).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            written = json.loads(text)
            plain = {key: value for key, value in written.items() if not isinstance(value, dict | list)}
        except (ValueError, AttributeError, RecursionError) as error:
            raise EmbedkitError(f"{file}, line {line}: no JSON object ({error}).") from error
        if FILE_NAME not in plain:
            raise EmbedkitError(
                f"{file}, line {line}: it has no '{FILE_NAME}', the path of the image from that folder."
            )
        rows[line] = {
            "path" if key == FILE_NAME else key: "" if value is None else str(value) for key, value in plain.items()
        }
    if not rows:
        raise EmbedkitError(f"{file} is empty: it needs an object per line, with '{FILE_NAME}'.")
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).fillna("")
