"""Tables and dictionaries in HDF5 after the AnnData on-disk specification.

Source: the AnnData project's file format specification (encoding-type, encoding-version attributes).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd

from embedkit.cache.vectors import stretches

_POINTER = 16  # bytes of a text in a column: where the letters are
_TEXT = h5py.string_dtype("utf-8")
# So many texts does HDF5 convert at a time (a megabyte of what it calls their type in memory): written in stretches of
# this length, they lie in the file as if they had been written at once.
_TEXTS = 1 << 16


def _tag(item: h5py.Group | h5py.Dataset, kind: str, version: str = "0.2.0") -> None:
    item.attrs["encoding-type"] = kind
    item.attrs["encoding-version"] = version


def write_dict(parent: h5py.Group, name: str, value: Mapping[str, Any]) -> h5py.Group:
    """Write a dictionary of text, numbers, arrays, tables and dictionaries."""
    group = parent.create_group(name)
    _tag(group, "dict", "0.1.0")
    for key, item in value.items():
        if isinstance(item, pd.DataFrame):
            write_table(group, key, item)
        elif isinstance(item, Mapping):
            write_dict(group, key, item)
        elif isinstance(item, np.ndarray):
            _tag(group.create_dataset(key, data=item), "array")
        elif isinstance(item, str):
            _tag(group.create_dataset(key, data=item, dtype=_TEXT), "string")
        else:
            _tag(group.create_dataset(key, data=item), "numeric-scalar")
    return group


def write_table(
    parent: h5py.Group,
    name: str,
    table: pd.DataFrame,
    index: str | None = None,
    distinct: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a table; ``index`` names the column (unique text) that AnnData takes as row names.

    Text without gaps and mostly distinct is a ``string-array``, other text ``categorical`` (a gap is code -1).

    Args:
        distinct: more columns of text without gaps, mostly distinct, which are taken a stretch at a time.
    """
    group = parent.create_group(name)
    _tag(group, "dataframe")
    more = distinct or {}
    columns = [*(column for column in table.columns if column != index), *more]
    stored: list[str] = []
    for column in columns:
        stored.append(_stored_name(column, {*stored, *columns} - {column}))
    group.attrs["_index"] = index or "_index"
    group.attrs.create("column-order", stored, dtype=_TEXT, shape=(len(columns),))
    group.attrs.create("column-names", columns, dtype=_TEXT, shape=(len(columns),))
    if index is None:
        _write_texts(group, "_index", len(table), lambda rows: list(map(str, range(len(table))[rows])))
    else:
        _write_text(group, index, table[index].to_numpy(object))
    for column, name_there in zip(columns, stored, strict=True):
        if column in more:
            _write_texts(group, name_there, len(more[column]), more[column].__getitem__)
            continue
        values = table[column]
        if values.dtype.kind in "biuf":
            _tag(group.create_dataset(name_there, data=values.to_numpy()), "array")
        elif values.isna().any() or values.nunique() <= len(values) // 2:
            _write_categories(group, name_there, values)
        else:
            _write_text(group, name_there, values.to_numpy(object))


def _stored_name(column: str, taken: set[str]) -> str:
    # HDF5 takes a slash for a path and a lone dot for the group itself.
    name = column.replace("/", "\N{FRACTION SLASH}") if column != "." else "\N{FULLWIDTH FULL STOP}"
    while name in taken:
        name += "\N{FRACTION SLASH}"
    return name


def _write_text(group: h5py.Group, name: str, values: np.ndarray) -> None:
    _tag(group.create_dataset(name, data=values, dtype=_TEXT), "string-array")


def _write_texts(group: h5py.Group, name: str, n: int, made: Callable[[slice], Sequence[str]]) -> None:
    """Write what `_write_text` would, byte for byte, of n texts that are made as they are written."""
    item = group.create_dataset(name, (n,), _TEXT)
    for start in range(0, n, _TEXTS):
        rows = slice(start, min(n, start + _TEXTS))
        item[rows] = np.array(made(rows), object)
    _tag(item, "string-array")


def _write_categories(parent: h5py.Group, name: str, values: pd.Series) -> None:
    categorical = pd.Categorical(values)
    group = parent.create_group(name)
    _tag(group, "categorical")
    group.attrs["ordered"] = False
    _tag(group.create_dataset("codes", data=categorical.codes), "array")
    _write_text(group, "categories", categorical.categories.to_numpy(object))


def read_dict(group: h5py.Group) -> dict[str, Any]:
    """Read what `write_dict` wrote."""
    return {key: _read(item) for key, item in group.items()}


def _read(item: h5py.Group | h5py.Dataset) -> Any:
    kind = item.attrs["encoding-type"]
    if kind == "dataframe":
        return read_table(item)
    if kind == "dict":
        return read_dict(item)
    if kind == "string":
        return item.asstr()[()]
    value = item[()]
    return value.item() if kind == "numeric-scalar" else value


def read_table(group: h5py.Group, rows: np.ndarray | None = None) -> pd.DataFrame:
    """Read what `write_table` wrote: text as str with NaN for gaps, the index column (if named) first.

    Args:
        rows: positions in rising order, without repeats; by default all.
    """
    index = str(group.attrs["_index"])
    columns = zip(group.attrs["column-names"], group.attrs["column-order"], strict=True)
    data = {} if index == "_index" else {index: read_column(group[index], rows)}
    data |= {str(name): read_column(group[str(stored)], rows) for name, stored in columns}
    n = len(group[index]) if rows is None else len(rows)
    return pd.DataFrame(data, index=pd.RangeIndex(n), columns=list(data))


def shape_of_table(group: h5py.Group) -> tuple[int, list[str]]:
    """Return how many rows the table has that `read_table` would read, and which of its columns are there."""
    index = str(group.attrs["_index"])
    columns = zip(group.attrs["column-names"], group.attrs["column-order"], strict=True)
    return len(group[index]), [index, *(str(name) for name, stored in columns if stored in group)]


def read_column(item: h5py.Group | h5py.Dataset, rows: np.ndarray | None = None) -> np.ndarray:
    """Read one column as `read_table` does."""
    kind = item.attrs["encoding-type"]
    if kind == "categorical":
        categories = np.append(item["categories"].asstr()[()].astype(object), np.nan)
        return np.asarray(categories[_rows_of(item["codes"], rows)])
    values = _rows_of(item, rows)
    if kind != "string-array":
        return np.asarray(values)
    # h5py's own decoding takes twice as long.
    return np.array([value.decode() for value in values.tolist()], dtype=object)


def _rows_of(item: h5py.Dataset, rows: np.ndarray | None) -> np.ndarray:
    if rows is None:
        return np.asarray(item[()])
    # HDF5 picks scattered rows one at a time; reading a dense stretch and picking in memory is far quicker.
    parts = [item[part[0] : part[-1] + 1][part - part[0]] for part in stretches(rows, _POINTER)]
    return np.concatenate(parts) if parts else np.asarray(item[:0])
