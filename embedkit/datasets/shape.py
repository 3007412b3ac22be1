"""Rows as written -> the columns of an `ImageSet`: labels, flags, groups, metadata, by a description."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.datasets.description import Column, Description, Flags, Names
from embedkit.datasets.gather import PATH, SPLIT, Gathered
from embedkit.datasets.splits import SPLITS
from embedkit.datasets.tabular import as_text, read_rows, typed
from embedkit.errors import EmbedkitError

_TRUTH: dict[str, float] = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "": np.nan}
_HELD = " []'\"“”"


def required(description: Description, targets: Mapping[str, Names]) -> Names:
    """Return the columns without which the labels or the groups of a set can't be made."""
    names: list[str] = []
    made = dict.fromkeys(["group", SPLIT, *(column for columns in targets.values() for column in columns)])
    for column in made:
        rule = description.columns.get(column)
        if rule is None or rule.optional or len(rule.sources) > 1 or rule.sources == (PATH,):
            continue
        names += rule.one_hot or rule.sources
    for target, flags in description.flags.items():
        written = [_written(column, flags) for column in targets[target]]
        names += [flags.source] if flags.source else written
    return tuple(dict.fromkeys(names))


def shape(gathered: Gathered, description: Description, targets: Mapping[str, Names]) -> pd.DataFrame:
    """Return the table of one file of a set: id, path, and label, split, group where known; then all other columns.

    Raises:
        EmbedkitError: a label that is none; the message names the file and the line.
    """
    rows = gathered.rows.assign(**{PATH: gathered.places[PATH]})
    made: dict[str, pd.Series] = {name: rows[name] for name in ("label", "group", SPLIT) if name in rows}
    used: set[str] = {description.id}
    for name, rule in description.columns.items():
        cells = _column(gathered.where, rows, rule)
        if cells is not None:
            made[name] = cells
            used |= {*rule.sources, *rule.one_hot}
    flags = {
        name: column
        for target, rule in description.flags.items()
        for name, column in _flags(gathered.where, rows, rule, targets[target]).items()
    }
    used |= {rule.source for rule in description.flags.values()} | set(flags) | set(description.drop) | set(made)
    for target, listed in description.flags.items():
        used |= {_written(column, listed) for column in targets[target]}
    places = gathered.places
    split = made.pop(SPLIT) if SPLIT in made else places.get(SPLIT)
    singles = {columns[0] for columns in targets.values() if len(columns) == 1} | {"label", "group"}
    # One by one in a dictionary: a table that grows column by column is slow.
    table: dict[str, pd.Series] = {"id": places["id"], "path": places[PATH]}
    if "label" in made:
        table["label"] = as_text(made.pop("label"))
    if split is not None:
        table[SPLIT] = _split(gathered.where, split)
    if "group" in made:
        table["group"] = as_text(made.pop("group"))
    table |= {name: as_text(cells) if name in singles else typed(cells) for name, cells in made.items()}
    table |= flags
    table |= {str(name): typed(rows[name]) for name in rows if name not in used | {PATH, *table}}
    whole = pd.DataFrame(table)
    return _voted(whole, description.votes, list(flags)) if description.votes else whole


def with_pairs(table: pd.DataFrame, place: Path, description: Description) -> pd.DataFrame:
    """Return the table with the groups of a file that lists images of one group side by side, where it is there."""
    name, columns = description.pairs
    if not name or not (place / name).is_file():
        return table
    rows = read_rows(place / name, columns)
    groups = {_stem(row[column]): _stem(row[columns[0]]) for _, row in rows.iterrows() for column in columns}
    stems = table[PATH].map(_stem)
    return table.assign(group=stems.map(groups).where(stems.isin(list(groups)), stems))


def _column(where: Path, rows: pd.DataFrame, rule: Column) -> pd.Series | None:
    if rule.one_hot:
        return _mapped(where, _hottest(where, rows, rule), rule.values)
    source = next((name for name in rule.sources if name in rows), None)
    if source is None:
        return None
    cells = rows[source].str.strip()
    if rule.pattern:
        pattern = re.compile(rule.pattern)
        matches = cells.map(pattern.search)
        cells = matches.map(lambda match: match[1] or "" if match else "")
    return _mapped(where, cells, rule.values)


def _mapped(where: Path, cells: pd.Series, values: Mapping[str, str]) -> pd.Series:
    if not values:
        return cells
    strange = cells[~cells.isin([*values, ""])]
    if len(strange) and "*" not in values:
        raise EmbedkitError(
            f"{where}, line {strange.index[0]}: '{strange.iloc[0]}' in '{strange.name}' is none of {', '.join(values)}."
        )
    return cells.map(lambda cell: values.get(cell, values.get("*", "") if cell else ""))


def _hottest(where: Path, rows: pd.DataFrame, rule: Column) -> pd.Series:
    names = [name for name in rule.one_hot if name in rows]
    hot = rows[names].isin(["1", "1.0"])
    wrong = hot.index[hot.sum(axis=1) != 1]
    if len(wrong):
        image = posixpath.splitext(posixpath.basename(rows.loc[wrong[0], PATH]))[0]
        raise EmbedkitError(f"{where}, line {wrong[0]}: '{image}' needs 1.0 in exactly one class.")
    return hot.idxmax(axis=1).astype(object)


def _flags(where: Path, rows: pd.DataFrame, rule: Flags, columns: Names) -> dict[str, pd.Series]:
    if rule.source:
        return _from_list(where, rows[rule.source], rule, columns)
    truth = _TRUTH | {cell: np.nan if value == "" else float(value) for cell, value in rule.values.items()}
    flags = {}
    for column in columns:
        cells = rows[_written(column, rule)].str.strip()
        strange = cells[~cells.isin(list(truth))]
        if len(strange):
            raise EmbedkitError(
                f"{where}, line {strange.index[0]}: '{strange.iloc[0]}' in '{cells.name}' is not 0 or 1."
            )
        flags[column] = _whole(cells.map(truth))
    return flags


def _from_list(where: Path, cells: pd.Series, rule: Flags, columns: Names) -> dict[str, pd.Series]:
    lists = [[item.strip(_HELD) for item in cell.split(rule.separator or None)] for cell in cells]
    named = [{rule.names.get(item, item) for item in items if item} for items in lists]
    if rule.known is not None:
        legal = {*columns, *rule.known}
        for line, items in zip(cells.index, named, strict=True):
            if strange := items - legal:
                raise EmbedkitError(f"{where}, line {line}: '{min(strange)}' in '{cells.name}' is no label of the set.")
    # An empty list says nothing of an image; one that names a label says that the others are absent.
    return {
        column: _whole(pd.Series([float(column in items) if items else np.nan for items in named], index=cells.index))
        for column in columns
    }


def _whole(flags: pd.Series) -> pd.Series:
    return flags.astype("int64") if flags.notna().all() else flags.astype("float64")


def _written(column: str, rule: Flags) -> str:
    return column.removesuffix(rule.suffix) if rule.suffix else column


def _split(where: Path, cells: pd.Series) -> pd.Series:
    names = cells.map(lambda cell: SPLITS.get(str(cell).strip().lower(), cell), na_action="ignore")
    strange = names[names.notna() & ~names.isin([*SPLITS.values(), ""])]
    if len(strange):
        raise EmbedkitError(
            f"{where}, line {strange.index[0]}: the split '{strange.iloc[0]}' is none of train, val, test."
        )
    return as_text(names)


def _voted(table: pd.DataFrame, votes: str, flags: list[str]) -> pd.DataFrame:
    """Return one row per image; a flag is what any, or more than half, of its rows say."""
    groups = table.groupby("id", sort=False)
    shares: Any = groups[flags].mean()
    agreed = (shares > 0 if votes == "any" else shares > 1 / 2).astype("int64")
    first = groups.first()
    return first.assign(**{name: agreed[name] for name in flags}).reset_index()


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]
