"""Class folders, with or without train, val and test above them; ``folder:PATH`` and any set laid out so."""

import posixpath
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.datasets.addresses import frames, inside, multi_frame
from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.errors import DatasetNotFound
from embedkit.datasets.splits import SPLITS
from embedkit.datasets.tabular import read_rows
from embedkit.datasets.walk import IMAGE_SUFFIXES, Walk, walk
from embedkit.errors import EmbedkitError

GROUPS = "groups.csv"
_Parts = tuple[str, ...]


def read(card: DatasetCard, place: Path) -> Contents:
    """Read a set of the catalog that is laid out as class folders."""
    return read_folder(place)


def read_folder(place: Path) -> Contents:
    """Read every image under `place`: the class is the first folder, below the split where there is one.

    The group is taken from groups.csv (columns path, group) where `place` has one, else it is the folder between
    class and image where every class folder holds nothing but folders, else unknown.

    Raises:
        EmbedkitError: no such folder, no images in it, splits beside other folders, groups.csv leaves images out.
    """
    _check_folder(place)
    found = walk(place)
    if not found.files:
        raise _no_images(place, found)
    # All that a path tells is told by its folder, and a million images lie in few of them.
    distinct: dict[str, str] = {}
    folders = [distinct.setdefault(folder, folder) for folder in map(posixpath.dirname, found.files)]
    parts, by_split = _by_split(place, [(*filter(None, folder.split("/")), "") for folder in distinct])
    below = 1 if by_split else 0
    known = dict(zip(distinct, parts, strict=True))
    labels = {folder: path[below] if len(path) > below + 1 else np.nan for folder, path in known.items()}
    columns: dict[str, list[Any]] = {"path": found.files, "label": [labels[folder] for folder in folders]}
    facts: dict[str, Any] = {"skipped": Walk(skipped=[path for path in found.skipped if path != GROUPS]).facts()}
    if by_split:
        splits = {folder: SPLITS[path[0].lower()] for folder, path in known.items()}
        columns["split"] = [splits[folder] for folder in folders]
    if (place / GROUPS).is_file():
        columns["group"] = _listed_groups(place, found.files)
        facts["group"] = f"from {GROUPS}"
    elif _has_patients(parts, below):
        patients = {folder: path[below + 1] for folder, path in known.items()}
        columns["group"] = [patients[folder] for folder in folders]
        facts["group"] = "the folder between class and image"
    table = _expanded(place, pd.DataFrame(columns))
    table.insert(0, "id", table["path"])
    if table["label"].isna().all():
        return Contents(table.drop(columns="label"), {}, facts)
    return Contents(table, {"label": ("label",)}, facts)


def _expanded(place: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per frame of the files that have several."""
    several = {row: frames(place, file) for row, file in enumerate(table["path"]) if multi_frame(file)}
    if not several:
        return table
    counts = [len(several.get(row, (file,))) for row, file in enumerate(table["path"])]
    paths = [address for row, file in enumerate(table["path"]) for address in several.get(row, (file,))]
    return table.loc[table.index.repeat(counts)].reset_index(drop=True).assign(path=paths)


def _check_folder(place: Path) -> None:
    try:
        _require_folder(place)
    except OSError as error:
        raise EmbedkitError(f"can't look at {place}: {error.strerror}. Check its permissions.") from error


def _require_folder(place: Path) -> None:
    if place.is_file():
        hint = f"write csv:{place}" if place.suffix.lower() in {".csv", ".tsv"} else "name the folder it lies in"
        raise EmbedkitError(f"folder:{place} is a file: {hint}.")
    if not place.is_dir():
        beside = [path.name for path in place.parent.iterdir() if path.is_dir()] if place.parent.is_dir() else []
        close = get_close_matches(place.name, beside, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"{place.parent} holds {_some(beside)}."
        raise DatasetNotFound(f"there is no folder {place}. {hint}")


def _no_images(place: Path, found: Walk) -> EmbedkitError:
    return EmbedkitError(
        f"no images in {place}: saw {_some(found.skipped)}. "
        f"An image is a file named {' '.join(sorted(IMAGE_SUFFIXES))}, or DICOM without an extension."
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return f"{len(names)} other entries ({shown}{', ...' if len(names) > 5 else ''})" if names else "nothing"


def _by_split(place: Path, parts: list[_Parts]) -> tuple[list[_Parts], bool]:
    """Return the parts of each path, the split first where there is one, and whether there is."""
    tops = {path[0] for path in parts if len(path) > 1}
    named = {top for top in tops if top.lower() in SPLITS}
    loose = any(len(path) == 1 for path in parts)
    if tops and named == tops and not loose:
        return parts, True
    if any(SPLITS[top.lower()] == "train" for top in named) and any(len(p) > 2 and p[0] in named for p in parts):
        others = sorted(tops - named) + ["images in no folder"] * loose
        raise EmbedkitError(
            f"{place} holds splits ({', '.join(sorted(named))}) beside {', '.join(others[:5])}: "
            "move these into a split, or elsewhere."
        )
    if all(len(path) > 2 and path[1].lower() in SPLITS for path in parts):
        return [(path[1], path[0], *path[2:]) for path in parts], True
    return parts, False


def _has_patients(parts: list[_Parts], below: int) -> bool:
    """Tell class/patient/image from class/image; one and the same folder in each class says nothing."""
    if any(len(path) < below + 3 for path in parts):
        return False
    patients = defaultdict(set)
    for path in parts:
        patients[path[: below + 1]].add(path[below + 1])
    return any(len(names) > 1 for names in patients.values())


def _listed_groups(place: Path, files: list[str]) -> list[str]:
    rows = read_rows(place / GROUPS, ("path", "group"))
    groups: dict[str | None, str] = {}
    for line, path, group in zip(rows.index, rows["path"], rows["group"], strict=True):
        if groups.setdefault(inside(place, path), group) != group:
            raise EmbedkitError(f"{place / GROUPS}, line {line}: '{path}' has another group further up: keep one.")
    missing = [file for file in files if not groups.get(file)]
    if missing:
        raise EmbedkitError(
            f"{place / GROUPS} gives no group for {len(missing)} of {len(files)} images, such as {missing[0]}: "
            "add a row for each, with its path as it is under the folder."
        )
    return [groups[file] for file in files]
