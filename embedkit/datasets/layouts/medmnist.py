"""MedMNIST: one npz with images and labels of three splits; only headers and labels are read here."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import first_mark
from embedkit.errors import EmbedkitError

_SPLITS = ("train", "val", "test")


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the labels of every image; a row's path is the address of its image in the npz.

    Raises:
        EmbedkitError: the file is no MedMNIST npz, or not one of this set and size.
    """
    mark = first_mark(place, card.marks)
    try:
        with zipfile.ZipFile(place / mark) as archive:
            tables = [_split(archive, split, card, mark) for split in _SPLITS]
    except (OSError, EOFError, KeyError, MemoryError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise EmbedkitError(
            f"{place / mark} is not the npz of '{card.name}': {error}. Delete it and fetch it anew."
        ) from error
    facts = {"classes": list(card.classes)} if card.classes else {}
    return Contents(pd.concat(tables, ignore_index=True), facts=facts)


def read_npz(file: Path) -> Contents:
    """Read a user's own npz in this layout: arrays SPLIT_images and SPLIT_labels of numbers, any of the splits.

    Labels of one column are classes, named by their numbers; of several columns they are the 0/1 flags label_0 and on.

    Raises:
        EmbedkitError: the file is absent, damaged, or has no such arrays.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            tables = [_own_split(archive, split, file.name) for split in _splits(archive)]
    except (OSError, EOFError, KeyError, MemoryError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise EmbedkitError(f"{file} is no npz in the layout of MedMNIST: {error}.") from error
    table = pd.concat(tables, ignore_index=True)
    flags = tuple(str(name) for name in table if str(name).startswith("label_"))
    return Contents(table, {"labels": flags} if flags else {"label": ("label",)})


def _splits(archive: zipfile.ZipFile) -> list[str]:
    held = set(archive.namelist())
    splits = [split for split in _SPLITS if {f"{split}_images.npy", f"{split}_labels.npy"} <= held]
    if not splits:
        raise ValueError(f"it holds {', '.join(sorted(held)) or 'nothing'}, no train_images and train_labels")
    return splits


def _own_split(archive: zipfile.ZipFile, split: str, file: str) -> pd.DataFrame:
    count = _shape(archive, f"{split}_images.npy")[0]
    with archive.open(f"{split}_labels.npy") as stream:
        labels = np.lib.format.read_array(stream, allow_pickle=False).reshape(count, -1)
    if labels.dtype.kind not in "iu" or (labels.shape[1] > 1 and labels.max(initial=0) > 1):
        raise ValueError(f"{split}_labels of type {labels.dtype} are neither numbers of classes nor 0/1 flags")
    numbers = range(count)
    table = pd.DataFrame(
        {"id": [f"{split}-{n}" for n in numbers], "path": [f"{file}#{split}_images[{n}]" for n in numbers]}
    )
    if labels.shape[1] == 1:
        table["label"] = [str(number) for number in labels[:, 0]]
    else:
        table = table.assign(**{f"label_{n}": labels[:, n].astype("int64") for n in range(labels.shape[1])})
    return table.assign(split=split)


def _split(archive: zipfile.ZipFile, split: str, card: DatasetCard, file: str) -> pd.DataFrame:
    images = f"{split}_images"
    shape = _shape(archive, f"{images}.npy")
    if shape[1:3] != (card.resolution, card.resolution):
        raise ValueError(f"{images} is of shape {shape}, not of {card.resolution} x {card.resolution} pixels")
    with archive.open(f"{split}_labels.npy") as stream:
        labels = np.lib.format.read_array(stream, allow_pickle=False)
    numbers = range(shape[0])
    table = pd.DataFrame({"id": [f"{split}-{n}" for n in numbers], "path": [f"{file}#{images}[{n}]" for n in numbers]})
    for column, values in _columns(labels, shape[0], card).items():
        table[column] = values
    table["split"] = split
    return table


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return header(stream)[0]


def _columns(labels: npt.NDArray[Any], count: int, card: DatasetCard) -> dict[str, npt.NDArray[Any] | list[str]]:
    """Return one column of names, or a 0/1 column per name where an image may have several."""
    columns = next(iter(card.targets.values()))
    several = len(columns) > 1
    if labels.shape != (count, len(columns)) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels of shape {labels.shape} and type {labels.dtype} for {count} images")
    highest = 1 if several else len(card.classes) - 1
    if labels.min(initial=0) < 0 or labels.max(initial=0) > highest:
        raise ValueError(f"labels beyond 0 to {highest}")
    if several:
        return {column: labels[:, number].astype("int64") for number, column in enumerate(columns)}
    return {columns[0]: [card.classes[number] for number in labels[:, 0]]}
