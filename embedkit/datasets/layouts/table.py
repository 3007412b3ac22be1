"""A table of images: ``csv:PATH`` and any set that comes so. Columns path, and label, split, group where known.

Where an image lies in several files, each a channel, the columns are ``path_NAME`` in the place of ``path``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit import images
from embedkit.datasets.addresses import file_of, frames, inside, there
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.channels import PREFIX, channel_columns, with_paths
from embedkit.datasets.contents import Contents
from embedkit.datasets.errors import DatasetNotFound
from embedkit.datasets.published import first_mark
from embedkit.datasets.splits import SPLITS
from embedkit.datasets.tabular import as_text, read_rows, typed
from embedkit.errors import EmbedkitError

_MANY = "label:"
_OWN = ("label", "split", "group")
_TRUTH = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def read(card: DatasetCard, place: Path) -> Contents:
    """Read a set of the catalog that comes as a table."""
    return read_csv(place / first_mark(place, card.marks), place)


def read_csv(file: Path, base: Path) -> Contents:
    """Read a table whose paths are relative to `base`.

    Labels, groups and ids are text exactly as written, and only an empty cell is missing. Columns ``label:NAME``
    hold 0 or 1 and make a multilabel target of the columns NAME. Further columns are kept.

    Raises:
        EmbedkitError: the table can't be read, or a row of it can't be used; the message names the line.
    """
    rows = with_paths(file, lambda names: read_rows(file, names))
    _refuse_capitals(file, [str(name) for name in rows])
    return from_rows(rows, file, base)


def from_rows(rows: pd.DataFrame, file: Path, base: Path) -> Contents:
    """Make a table of the text of its cells, as `read_csv` does; the index is the line in `file`."""
    channels = channel_columns([str(name) for name in rows], file)
    if channels:
        names = [name.removeprefix(PREFIX) for name in channels]
        named = (dict(zip(names, cells, strict=True)) for cells in rows[channels].to_numpy().tolist())
        rows["path"] = [_channels(file, base, line, files) for line, files in zip(rows.index, named, strict=True)]
        rows = rows.drop(columns=channels)
    else:
        rows["path"] = [_path(file, base, line, written) for line, written in rows["path"].items()]
    files = [one for path in rows["path"] for one in images.files_of(path)]
    if not any(images.is_remote(one) or there(base / one) for one in files):
        raise DatasetNotFound(
            f"none of the {len(rows)} images of {file} exists: looked for {base / files[0]} first. "
            f"Paths are relative to {base}; name another folder with --root."
        )
    if "split" in rows:
        rows["split"] = [_split(file, line, written) for line, written in rows["split"].items()]
    rows = _expanded(rows, base)
    whole = len(rows)
    rows = _without_repeats(file, rows)
    # One by one in a dictionary: a table that grows by thousands of columns is slow, and pandas warns of it.
    columns = {"id": _ids(file, rows), "path": rows["path"]}
    targets: dict[str, tuple[str, ...]] = {}
    for name in _OWN:
        if name in rows:
            columns[name] = as_text(rows[name])
    if "label" in columns and columns["label"].notna().any():
        targets["label"] = ("label",)
    if several := [str(name) for name in rows if str(name).startswith(_MANY)]:
        for name in several:
            columns[_short(file, name, rows)] = _truth(file, rows[name])
        targets["labels"] = tuple(name.removeprefix(_MANY) for name in several)
    for name in rows.columns.difference([*columns, *several], sort=False):
        columns[name] = typed(rows[name])
    facts: dict[str, Any] = {"repeated_rows": whole - len(rows)} if whole > len(rows) else {}
    if "group" in columns:
        facts["group"] = "the column group of the table"
    if channels:
        facts["channels"] = names
    return Contents(pd.DataFrame(columns).reset_index(drop=True), targets, facts)


def _refuse_capitals(file: Path, names: list[str]) -> None:
    """Refuse a column whose name means something here but for its capitals: it would be passed over in silence."""
    for name in names:
        own = name.lower()
        if own in _OWN and own not in names:
            raise EmbedkitError(
                f"{file} has a column '{name}' and none named '{own}', which alone is read as the {own} of an image: "
                f"rename it to '{own}' if it is that, and to something else if not."
            )


def _path(file: Path, base: Path, line: object, written: str) -> str:
    if not written or "\0" in written:
        raise EmbedkitError(f"{file}, line {line}: the path is {'no file name' if written else 'empty'}: write one.")
    path = written if images.is_remote(written) else inside(base, written)
    if path is None:
        raise EmbedkitError(
            f"{file}, line {line}: '{written}' is outside {base}. Paths are relative to that folder; "
            "name the folder that holds all images with --root."
        )
    return path


def _channels(file: Path, base: Path, line: object, files: dict[str, str]) -> str:
    """Return the address of an image from what its channels are written as; an empty cell is a channel without a file.

    Such an image is listed as failed when it is read, as is one whose file is not there.
    """
    if not any(files.values()):
        raise EmbedkitError(f"{file}, line {line}: no channel has a path: write them.")
    return images.join_channels({name: _path(file, base, line, one) if one else "" for name, one in files.items()})


def _split(file: Path, line: object, written: str) -> str:
    name = written.strip().lower()
    if name and name not in SPLITS:
        raise EmbedkitError(f"{file}, line {line}: the split '{written}' is none of train, val, test.")
    return SPLITS.get(name, "")


def _expanded(rows: pd.DataFrame, base: Path) -> pd.DataFrame:
    """Return one row per frame; ``line`` is no column of the user's, so it stays the index."""
    addresses = [frames(base, path) for path in rows["path"]]
    several = rows.iloc[np.repeat(np.arange(len(rows)), [len(frame) for frame in addresses])].copy()
    several["path"] = [address for frame in addresses for address in frame]
    return several


def _without_repeats(file: Path, rows: pd.DataFrame) -> pd.DataFrame:
    single = rows.drop_duplicates()
    again = single[single.duplicated("path", keep=False)]
    if len(again):
        same = again[again["path"] == again["path"].iloc[0]]
        columns = [name for name in same if same[name].nunique() > 1]
        raise EmbedkitError(
            f"{file}, lines {', '.join(map(str, same.index[:3]))}: '{same['path'].iloc[0]}' is listed with different "
            f"values of {', '.join(columns)}. Keep one row per image."
        )
    return single


def _ids(file: Path, rows: pd.DataFrame) -> pd.Series:
    if "id" not in rows:
        return rows["path"]
    parts = [path[len(file_of(path)) :] for path in rows["path"]]
    # A frame that the user listed has an id of its own; the frames of one row share theirs.
    ids = rows["id"].where(~rows.index.duplicated(keep=False), rows["id"] + parts)
    bad = ids[ids.duplicated() | (rows["id"] == "")]
    if len(bad):
        wrong = f"the id '{bad.iloc[0]}' stands further up too" if bad.iloc[0] else "the id is empty"
        raise EmbedkitError(f"{file}, line {bad.index[0]}: {wrong}. Give each image its own, or remove the column.")
    return ids


def _short(file: Path, name: str, rows: pd.DataFrame) -> str:
    short = name.removeprefix(_MANY)
    if not short or short in rows or short in {"id", "path", "label", "split", "group"}:
        raise EmbedkitError(f"{file}: the column '{name}' needs a name of its own after '{_MANY}'.")
    return short


def _truth(file: Path, cells: pd.Series) -> pd.Series:
    wrong = cells[~cells.isin([*_TRUTH, ""])]
    if len(wrong):
        raise EmbedkitError(f"{file}, line {wrong.index[0]}: '{wrong.iloc[0]}' in '{cells.name}' is not 0 or 1.")
    return cells.map(_TRUTH)
