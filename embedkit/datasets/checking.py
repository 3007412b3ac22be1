"""A set on the disk against what its publisher states: counts, missing and surplus files, duplicates, labels."""

import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.catalog import canonical, catalog
from embedkit.datasets.image_set import ImageSet, burned_in
from embedkit.datasets.open import open_dataset
from embedkit.datasets.places import data_root, locate
from embedkit.datasets.unpacking import ARCHIVES, members
from embedkit.errors import EmbedkitError
from embedkit.images import ImageError, digest, files_of, is_known, is_remote, split_address, split_channels

State = Literal["ready", "partly there", "absent"]
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that differs from what is stated: what, how often, and the first few."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """What was found in a set.

    Attributes:
        name: of the set. path: its folder. images: listed; present of them.
        splits, classes: images that are there, per split and per label of the default target.
        stated: images per split as published.
        findings: what differs; empty where all is as stated.
    """

    name: str
    path: str
    images: int
    present: int
    splits: dict[str, int]
    classes: dict[str, int]
    stated: dict[str, int]
    findings: list[Finding] = field(default_factory=list)


def condition(card: DatasetCard, root: Path | None = None) -> State:
    """Return whether a set is there: with all its images, in part (or not as it should be), or not at all."""
    if locate(card, root) is None:
        return "absent"
    try:
        opened = open_dataset(card.name, root, fetch=False)
    except EmbedkitError:
        return "partly there"
    whole = not opened.facts.get("missing") and len(opened) >= sum(card.counts.values())
    return "ready" if whole else "partly there"


def check(spec: str, root: Path | None = None, contents: bool = True) -> Check:
    """Compare a set with what its publisher states.

    Args:
        spec, root: as in `open_dataset`; nothing is fetched.
        contents: whether images of the same size are compared byte by byte, to find one that is there twice.

    Raises:
        EmbedkitError: as `open_dataset`, for labels or splits that don't parse too.
    """
    name = canonical(spec)
    card = catalog()[name] if name else None
    opened = open_dataset(spec, root, fetch=False)
    there = [not _absent(address) for address in opened.addresses()]
    table = opened.table[there]
    columns = next(iter(opened.targets.values()), ())
    counted = table["split"].value_counts() if "split" in table else None
    splits = {} if counted is None else {str(split): int(count) for split, count in counted.items()}
    classes = _classes(table, columns)
    stated = card.counts if card else {}
    findings = [*_missing(opened, there), *_differing(card, splits, len(table)), *_noted(opened.facts)]
    findings += [*_empty(opened, there), *_unpacked(opened), *_burned_in(opened)]
    if contents:
        findings += _twice(opened, there, columns)
    return Check(opened.name, str(opened.root), len(opened), len(table), splits, classes, stated, findings)


def _absent(address: str) -> list[str]:
    """Return the channels of an image that have no file, or one that is not there; of an image in one file its path."""
    parts = split_channels(address) or {address: address}
    return [name for name, part in parts.items() if not _there(split_address(part).path)]


def _there(path: str) -> bool:
    # What is elsewhere is not asked; a Path each costs seconds.
    return _is_known(path) if is_remote(path) else os.path.exists(path)  # noqa: PTH110


def _is_known(url: str) -> bool:
    try:
        return is_known(url)
    except ImportError:
        # Without fsspec nothing can be said of it.
        return True


def _classes(table: Any, columns: tuple[str, ...]) -> dict[str, int]:
    if len(columns) == 1:
        counts = table[columns[0]].value_counts().to_dict()
        unlabelled = int(table[columns[0]].isna().sum())
        return {str(label): int(count) for label, count in counts.items()} | (
            {"(none)": unlabelled} if unlabelled else {}
        )
    return {column: int(table[column].sum()) for column in columns}


def _missing(opened: ImageSet, there: list[bool]) -> list[Finding]:
    lost = [row for row, found in enumerate(there) if not found]
    paths, addresses = opened.table["path"], opened.addresses()
    shown = [
        f"{', '.join(_absent(addresses[row]))} of {paths[row]}" if split_channels(addresses[row]) else paths[row]
        for row in lost[:_SHOWN]
    ]
    return [Finding("images listed but not there", len(lost), tuple(shown))] if lost else []


def _empty(opened: ImageSet, there: list[bool]) -> list[Finding]:
    rows = zip(opened.addresses(), opened.table["path"], there, strict=True)
    empty = [path for address, path, found in rows if found and _is_empty(address)]
    return [Finding("images of 0 bytes", len(empty), tuple(empty[:_SHOWN]))] if empty else []


def _is_empty(address: str) -> bool:
    files = (split_channels(address) or {address: address}).values()
    # A row of an array has no bytes of its own.
    return any(_size(file) == 0 and split_address(file).array is None for file in files)


def _differing(card: DatasetCard | None, splits: dict[str, int], present: int) -> list[Finding]:
    if card is None:
        return []
    found = {"all": present, **splits}
    how = "expected, which is not confirmed" if "counts" in card.unconfirmed else "stated"
    return [
        Finding(f"images of {split}: {found.get(split, 0):,} of {count:,} {how}", abs(count - found.get(split, 0)))
        for split, count in card.counts.items()
        if found.get(split, 0) != count
    ]


def _noted(facts: dict[str, Any]) -> list[Finding]:
    words = {
        "unlisted": "images beside the listed ones, which are in no list",
        "other_images": "images that are none of the set's (masks and the like)",
        "in_split_lists_only": "images that only the split files name",
        "samples_without_image": "samples of the shards without an image",
        "members_not_used": "files in the shards that are neither image nor label",
    }
    found = [Finding(text, facts[name]) for name, text in words.items() if facts.get(name)]
    absent = facts.get("absent_files", ())
    return [*found, Finding("files of the set not there", len(absent), tuple(absent[:_SHOWN]))] if absent else found


def _burned_in(opened: ImageSet) -> list[Finding]:
    paths = burned_in(opened)
    what = "images with text burned into their pixels, as their headers say"
    return [Finding(what, len(paths), tuple(paths[:_SHOWN]))] if paths else []


def _unpacked(opened: ImageSet) -> list[Finding]:
    """Return the archives beside the images of which only a part was unpacked."""
    findings, root = [], opened.root
    read_as_they_are = {file for address in opened.addresses() for file in files_of(address)}
    for archive in sorted(path for path in root.iterdir() if path.name.lower().endswith(ARCHIVES)):
        if str(archive) in read_as_they_are:
            continue
        inside = members(archive)
        # An archive may be unpacked into a folder of its own name.
        tops = (root, root / archive.name.split(".")[0])
        lacking = min(([name for name in inside if not (top / name).exists()] for top in tops), key=len)
        if 0 < len(lacking) < len(inside):
            findings.append(Finding(f"files of {archive.name} not unpacked", len(lacking), tuple(lacking[:_SHOWN])))
    return findings


def _twice(opened: ImageSet, there: list[bool], columns: tuple[str, ...]) -> list[Finding]:
    """Return images with the same bytes, and those of them whose labels differ."""
    table = opened.table
    addresses = opened.addresses()
    by_size: dict[int, list[int]] = defaultdict(list)
    for row, (address, found) in enumerate(zip(addresses, there, strict=True)):
        if found and (size := _size(address)) is not None:
            by_size[size].append(row)
    same: dict[tuple[int, str], list[int]] = defaultdict(list)
    for size, rows in by_size.items():
        for row in rows if len(rows) > 1 else ():
            with suppress(ImageError):
                same[size, digest(addresses[row])].append(row)
    sets = [rows for rows in same.values() if len(rows) > 1]
    labels = list(columns)
    torn = [rows for rows in sets if labels and len(table.loc[rows, labels].drop_duplicates()) > 1]
    split = [rows for rows in sets if "split" in table and table.loc[rows, "split"].nunique() > 1]
    kinds = {
        "images that are there twice or more": sets,
        "images that are there under different labels": torn,
        "images that are in more than one split": split,
    }
    return [
        Finding(what, len(found), tuple(" = ".join(table["path"][rows]) for rows in found[:_SHOWN]))
        for what, found in kinds.items()
        if found
    ]


def _size(address: str) -> int | None:
    """Return the bytes of an image; 0 for a row of an array or column; None where it has no file here of its own."""
    if is_remote(address):
        return None
    if several := split_channels(address):
        sizes = [_size(part) for part in several.values()]
        return None if None in sizes else sum(filter(None, sizes))
    where = split_address(address)
    if where.stretch is not None:
        return where.stretch[1]
    if where.array is not None:
        return 0
    return os.stat(address).st_size if where.whole else None  # noqa: PTH116


def describe(card: DatasetCard, root: Path | None = None) -> str:
    """Return how to get a set that can't be fetched, and where its files go."""
    where = data_root(root) / card.name
    account = "needs a login or an agreement" if card.login else "no login needed"
    return f"{card.get} ({account}; licence: {card.licence}; homepage: {card.homepage}) Put the files in {where}."
