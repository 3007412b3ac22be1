"""Description: how a publisher laid a set out, as data; parsed from the ``read`` of a row of the catalog.

What may be written there is told at the top of catalog.toml. `embedkit.datasets.layouts.described` follows it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Names = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file that lists images: the names it goes by, its split, and the folder of its images where names recur."""

    file: Names
    split: str = ""
    images: Names = ()


@dataclass(frozen=True)
class Join:
    """A file with more columns of the same rows, found by the values of the columns `on`."""

    file: Names
    on: Names
    optional: bool = False


@dataclass(frozen=True)
class Column:
    """How one column is made: from the first source that is there, by the pattern's group, by the map of values.

    Attributes:
        one_hot: the column is the name of the one among these that holds 1.
        optional: its source may lack in some of the files.
    """

    sources: Names = ()
    pattern: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    one_hot: Names = ()
    optional: bool = False


@dataclass(frozen=True)
class Flags:
    """How the 0/1 columns of a multilabel target are made.

    Attributes:
        source: the column that holds a list of labels, parted by `separator`; empty where each label has a column.
        names: label as written -> column of the target, where they differ.
        known: labels that may stand in a list beside those of the target; where given, any other is an error.
        values: cell -> 0, 1 or empty (unknown), beside 0 and 1 themselves.
        suffix: what the columns of the target have behind the names of the file's.
    """

    source: str = ""
    separator: str = "|"
    names: Mapping[str, str] = field(default_factory=dict)
    known: Names | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True)
class Description:
    """The layout of one set: `tables` that list its images, or `paths` that its images lie under.

    Attributes:
        tables, joins: the files that list the images. header: of files that have none. delimiter: of cells.
        rename: column of another release -> its name here. releases: another release -> columns that tell it.
        image: the column of the image's name or path. id: of its id, where that is another. suffix: of an image that
            is absent. stem: the pattern of file names of which only group 1 is written in the table.
        views: name -> columns (ours -> the file's), where one row lists several images; `view` is their column.
        votes: what several rows of one image become, ``any`` or ``majority`` of the flags.
        paths: patterns of whole paths, whose named groups are columns; an image that none matches is no row.
        beside: a text file per image, with ``{stem}``, and its patterns by column.
        columns, flags: what becomes of the cells. drop: columns that are not kept. keep: column -> its values.
        lists: split -> a file that lists its images. pairs: a file, and columns of images of one group.
    """

    tables: tuple[Source, ...] = ()
    joins: tuple[Join, ...] = ()
    header: Names = ()
    delimiter: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, Names] = field(default_factory=dict)
    image: str = ""
    id: str = ""
    suffix: str = ""
    stem: str = ""
    views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    view: str = "view"
    votes: str = ""
    paths: Names = ()
    beside: tuple[str, Mapping[str, str]] = ("", {})
    columns: Mapping[str, Column] = field(default_factory=dict)
    flags: Mapping[str, Flags] = field(default_factory=dict)
    drop: Names = ()
    keep: Mapping[str, Names] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[str, Names] = ("", ())


def parse(read: Mapping[str, Any]) -> Description:
    """Return the description that a row of the catalog holds.

    Raises:
        ValueError: a word that is none of the vocabulary, or a pattern that is none.
    """
    _check(read, Description)
    given: dict[str, Any] = {key: _names(value) if isinstance(value, list) else value for key, value in read.items()}
    if "tables" in read:
        given["tables"] = tuple(_make(Source, row) for row in read["tables"])
    if "joins" in read:
        given["joins"] = tuple(_make(Join, row) for row in read["joins"])
    given["columns"] = {name: _column(rule) for name, rule in read.get("columns", {}).items()}
    given["flags"] = {name: _make(Flags, rule) for name, rule in read.get("flags", {}).items()}
    for key in ("releases", "keep"):
        given[key] = {name: _names(value) for name, value in read.get(key, {}).items()}
    if "beside" in read:
        given["beside"] = (read["beside"]["file"], read["beside"]["columns"])
    if "pairs" in read:
        given["pairs"] = (read["pairs"]["file"], _names(read["pairs"]["columns"]))
    description = Description(**given)
    for pattern in (description.stem, *description.paths, *(rule.pattern for rule in description.columns.values())):
        re.compile(pattern)
    return description


def _column(rule: str | Mapping[str, Any]) -> Column:
    return Column((rule,)) if isinstance(rule, str) else _make(Column, rule)


def _make(kind: type[Any], written: Mapping[str, Any]) -> Any:
    source = "source" if kind is Flags else "sources"
    row = {source if key == "from" else key: cell for key, cell in written.items()}
    _check(row, kind)
    several = {"file", "images", "on", "sources", "one_hot", "known"}
    return kind(**{key: _names(value) if key in several else value for key, value in row.items()})


def _names(value: str | list[str]) -> Names:
    return (value,) if isinstance(value, str) else tuple(value)


def _check(row: Mapping[str, Any], kind: type[Any]) -> None:
    if unknown := set(row) - {item.name for item in fields(kind)}:
        raise ValueError(f"{', '.join(sorted(unknown))} is no part of {kind.__name__}")
