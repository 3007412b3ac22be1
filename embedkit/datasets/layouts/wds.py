"""``wds:PATH``: webdataset shards. Files of one key are a sample: key.jpg its image, key.cls its label, key.json more.

The images stay in the shards: a row's path is the stretch of bytes of its image. Only cls, json and txt are read here.
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents, without_empty
from embedkit.datasets.errors import DatasetNotFound
from embedkit.datasets.sharded import require_all, split_of
from embedkit.datasets.unpacking import refuse_outside
from embedkit.datasets.walk import IMAGE_SUFFIXES, walk
from embedkit.errors import EmbedkitError

_TEXTS = ("cls", "json", "txt")
_LONGEST_TEXT = 1 << 20
_SHOWN = 5


class _Member(NamedTuple):
    """A file in a shard: the key and the rest of its name, and where its bytes are."""

    key: str
    ending: str
    start: int
    size: int


@dataclass
class _Sample:
    images: dict[str, _Member] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)


def read(card: DatasetCard, place: Path) -> Contents:
    """Read a set of the catalog that comes as shards."""
    return read_wds(place)


def read_wds(place: Path) -> Contents:
    """Read the names and labels of a shard, or of all shards (.tar) under a folder.

    The image of a sample is its key.jpg (or another format); where all its images have a longer name, such as
    key.left.jpg and key.right.jpg, each is a row and ``view`` tells them apart. The label is key.cls, else ``label`` of
    key.json, whose other numbers and texts are columns; key.txt is the column ``text``. The split is told by the names
    of the shards.

    Raises:
        EmbedkitError: no shards, a shard that is cut short, a file that a shard holds twice or that leads out of its
            folder, a json that is none.
    """
    root = place if place.is_dir() else place.parent
    shards = _shards(place)
    if place.is_dir():
        require_all(root, shards)
    counted: dict[str, Any] = {"members_not_used": 0, "samples_without_image": 0}
    nested: set[str] = set()
    # A table per shard: the rows of a million samples as dictionaries would take a gigabyte.
    tables = [pd.DataFrame(list(_rows(root, shard, counted, nested))) for shard in shards]
    table = pd.concat(tables, ignore_index=True)
    if not len(table):
        raise EmbedkitError(f"no images in the {len(shards)} shards of {place}: a sample is KEY.jpg and KEY.cls.")
    table = without_empty(table, "split", "label")
    facts = {name: count for name, count in counted.items() if count}
    if nested:
        facts["columns_left_out"] = sorted(nested)
    if "group" in table:
        facts["group"] = "group of the json of each sample"
    return Contents(table, {"label": ("label",)} if "label" in table else {}, facts)


def _shards(place: Path) -> list[str]:
    if place.is_file():
        return [place.name]
    if not place.is_dir():
        raise DatasetNotFound(f"there is no folder or shard {place}: check the path.")
    found = walk(place).skipped
    shards = sorted(name for name in found if name.endswith(".tar"))
    if not shards:
        packed = next((name for name in sorted(found) if name.endswith((".tar.gz", ".tgz"))), None)
        hint = f"{packed} is compressed, unpack its gzip" if packed else "a shard is a file named .tar"
        raise EmbedkitError(f"no shards in {place}: {hint}.")
    return shards


def _rows(root: Path, shard: str, counted: dict[str, Any], nested: set[str]) -> Iterator[dict[str, Any]]:
    samples = _samples(root / shard, counted, nested)
    split = split_of(shard) or np.nan
    for key, sample in samples.items():
        plain = {ending: member for ending, member in sample.images.items() if "." not in ending}
        counted["members_not_used"] += len(sample.images) - len(plain) if plain else 0
        counted["samples_without_image"] += not sample.images
        if len(plain) > 1:
            names = ", ".join(f"{key}.{ending}" for ending in plain)
            raise EmbedkitError(f"{root / shard} holds several images of one sample ({names}): name them KEY.VIEW.jpg.")
        for ending, member in (plain or sample.images).items():
            view = ending.rpartition(".")[0]
            yield {
                "id": f"{shard}/{key}{f'.{view}' if view else ''}",
                "path": f"{shard}#bytes={member.start}+{member.size}",
                "label": np.nan,
                "split": split,
                **({"view": view} if view else {}),
                **sample.columns,
            }


def _samples(shard: Path, counted: dict[str, Any], nested: set[str]) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    seen: set[tuple[str, str]] = set()
    with shard.open("rb") as stream:
        for member in _members(shard, counted):
            if (member.key, member.ending) in seen:
                raise EmbedkitError(f"{shard} holds '{member.key}.{member.ending}' twice: keep one of them.")
            seen.add((member.key, member.ending))
            sample = samples.setdefault(member.key, _Sample())
            if f".{member.ending.rpartition('.')[2]}" in IMAGE_SUFFIXES:
                sample.images[member.ending] = member
            elif member.ending in _TEXTS:
                stream.seek(member.start)
                _take(sample.columns, shard, member, stream.read(min(member.size, _LONGEST_TEXT + 1)), nested)
            else:
                counted["members_not_used"] += 1
    return samples


def _take(columns: dict[str, Any], shard: Path, member: _Member, data: bytes, nested: set[str]) -> None:
    name = f"{shard}: '{member.key}.{member.ending}'"
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise EmbedkitError(f"{name} is no text in UTF-8: write it so.") from error
    if len(data) > _LONGEST_TEXT:
        raise EmbedkitError(f"{name} has {member.size:,} bytes, too many for a label or a caption.")
    if member.ending != "json":
        columns["label" if member.ending == "cls" else "text"] = text or np.nan
        return
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EmbedkitError(f"{name} is no JSON ({error}): write it anew.") from error
    if not isinstance(written, dict):
        raise EmbedkitError(f"{name} is no JSON object: write names and values in braces.")
    for key, value in written.items():
        if isinstance(value, dict | list) or key in {"id", "path", "digest"}:
            nested.add(key)
        elif key in ("label", "group", "split"):
            columns.setdefault(key, np.nan if value in (None, "") else str(value))
        else:
            columns[key] = np.nan if value is None else value


def _members(shard: Path, counted: dict[str, Any]) -> Iterator[_Member]:
    """Yield the files of a shard in their order, by their headers alone.

    Raises:
        EmbedkitError: no tar, one that is cut short, or one with a member that leads out of its folder.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            end, size = 0, shard.stat().st_size
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps all headers it has seen, which are millions
                end = member.offset_data + (-(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
                if member.isreg() and member.offset_data + member.size > size:
                    raise tarfile.ReadError(f"it ends inside {member.name}")
                refuse_outside(shard, [member.name])
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                key, dot, ending = name.partition(".")
                if member.isreg() and not member.issparse() and key and dot:
                    yield _Member(f"{folder}/{key}" if folder else key, ending.lower(), member.offset_data, member.size)
                elif not member.isdir():
                    counted["members_not_used"] += 1
        _require_end(shard, end)
    except (OSError, EOFError, tarfile.TarError) as error:
        with shard.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        mend = "it is compressed: unpack its gzip" if packed else "it is cut short or damaged: copy it again"
        raise EmbedkitError(f"{shard} is no whole tar ({str(error) or 'no end'}), {mend}, or move it away.") from error


def _require_end(shard: Path, end: int) -> None:
    # tarfile takes a header that it can't read, and an end between two members, for the end of the archive.
    with shard.open("rb") as stream:
        stream.seek(end)
        rest = stream.read(tarfile.BLOCKSIZE)
    if len(rest) < tarfile.BLOCKSIZE or any(rest):
        raise tarfile.ReadError(f"no member and no end at byte {end:,}")
