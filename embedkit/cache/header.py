"""What a cache file holds: its table, ledger, stamps and provenance, and its vectors."""

import json
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache.embedding_set import EmbeddingSet
from embedkit.cache.errors import DamagedCache, ForeignCache, NotCached
from embedkit.cache.halves import Halves
from embedkit.cache.later import Later
from embedkit.cache.mapped import map_vectors
from embedkit.cache.merge import row_checksums
from embedkit.cache.sealed import open_parts, open_sealed, reading, reopener
from embedkit.cache.shards import Rows
from embedkit.cache.vectors import Selection, positions, read_vectors, stretches

if TYPE_CHECKING:
    import h5py
    import pandas as pd

_MAPPED = (np.dtype("<f4"), np.dtype("<f2"))
_JSON = ("dataset", "configuration")
_TABLE = ("id", "path", "digest")
_FAILED = ("id", "path", "reason", "message")
_FILES = ("size", "mtime_ns", "ctime_ns")
_PROVENANCE = ("name", "encoder", "key", "dataset", "configuration", "version")


@dataclass(frozen=True)
class Cached:
    """What a cache file holds beside its vectors.

    Attributes:
        path: of the file. shape: of its ``X``, (n, d). dtype: of its ``X``.
        table: one row per vector. failed: the ledger of the images without one.
        files: ``size`` (bytes), ``mtime_ns`` and ``ctime_ns`` of each image file when it was read; times 0 where they
            are not to be trusted.
        provenance: as in `EmbeddingSet`.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    table: "pd.DataFrame"
    failed: "pd.DataFrame"
    files: "pd.DataFrame"
    provenance: dict[str, Any]

    def rows(self) -> Rows:
        """Return where the vectors are."""
        return Rows(self.path, len(self.table))


def pack(provenance: dict[str, Any]) -> dict[str, str]:
    """Return a provenance as it is stored."""
    return {key: json.dumps(value) if key in _JSON else str(value) for key, value in provenance.items()}


def _unpack(stored: dict[str, Any]) -> dict[str, Any]:
    return {key: json.loads(value) if key in _JSON else value for key, value in stored.items()}


def read_header(path: Path) -> Cached:
    """Return everything a cache file holds but its vectors.

    Raises:
        ForeignCache, DamagedCache: see `open_sealed`.
    """
    with open_sealed(path) as file, reading(path):
        return header_of(file, path)


def header_of(file: "h5py.File", path: Path) -> Cached:
    """Return everything an open cache file holds but its vectors; call it inside `reading`.

    Raises:
        DamagedCache: something is missing or does not fit.
    """
    from embedkit.cache.elements import read_table

    table, failed, files = (read_table(file[name]) for name in ("obs", "uns/failed", "uns/files"))
    for frame, columns in ((table, _TABLE), (failed, _FAILED), (files, _FILES)):
        _refuse_missing("column", columns, frame, path)
    n, d = file["X"].shape
    if not n == len(table) == len(files):
        raise DamagedCache(f"{path} is damaged: {n} vectors for {len(table)} rows")
    return Cached(path, (n, d), file["X"].dtype, table, failed, files, _provenance_of(file, path))


def _provenance_of(file: "h5py.File", path: Path) -> dict[str, Any]:
    from embedkit.cache.elements import read_dict

    provenance = _unpack(read_dict(file["uns/embedkit"]))
    _refuse_missing("entry", _PROVENANCE, provenance, path)
    return provenance


def _refuse_missing(what: str, wanted: Iterable[str], there: Container[str], path: Path) -> None:
    if missing := [name for name in wanted if name not in there]:
        raise DamagedCache(f"{path} is damaged: it has no {what} '{missing[0]}'")


def read(path: Path, rows: Selection | None = None, *, verified: bool = False) -> EmbeddingSet:
    """Read a cache file, vectors as float32 of shape (n, d).

    The table of a whole file, which takes longer than the vectors, is read when it is first asked for: from this file,
    which is held open until then, whatever has its name by that time.

    All vectors of a file can't be written to; they are a map of it, which takes memory as they are looked at, and in
    half precision they are widened when ``X`` is first asked for. Some rows are a copy.

    Args:
        rows: a slice, positions or a mask; by default all. What else is in the file is not read, and vectors are
            compared with their checksums.
        verified: whether every byte of a whole file is compared with its checksum first. Otherwise those of the
            vectors are not, and damage there is not seen.

    Raises:
        NotCached: there is no such file.
        EmbedkitError: rows that there are not.
        ForeignCache, DamagedCache: see `open_sealed`.
    """
    if not path.exists():
        raise NotCached(f"there is no cache file {path}")
    if rows is not None:
        return _read_rows(path, rows)
    from embedkit.cache.elements import read_table, shape_of_table

    with open_parts(path, verified=verified) as (file, plain), reading(path):
        X = file["X"]
        n, d = X.shape
        for name, wanted in (("obs", _TABLE), ("uns/files", _FILES)):
            length, columns = shape_of_table(file[name])
            _refuse_missing("column", wanted, columns, path)
            if length != n:
                raise DamagedCache(f"{path} is damaged: {n} vectors for {length} rows")
        provenance, failed = _provenance_of(file, path), read_table(file["uns/failed"])
        values: np.ndarray | Halves
        if X.dtype in _MAPPED and X.size:
            values = map_vectors(plain, X.id.get_offset(), (n, d), X.dtype)
            values = Halves(values) if X.dtype == np.float16 else values
        else:
            values = _vectors(file, plain, 0, n, np.float32)
            values.flags.writeable = False
        table = Later(n, partial(_table_of, reopener(plain, path), path))
    return EmbeddingSet(values, table, provenance, failed)


def _table_of(opened: "Callable[[], AbstractContextManager[h5py.File]]", path: Path) -> "pd.DataFrame":
    from embedkit.cache.elements import read_table

    with opened() as file, reading(path):
        return read_table(file["obs"])


def vectors(path: Path, rows: Selection | None = None) -> np.ndarray:
    """Read the vectors of a cache file without their table, of shape (n, d), in the type in which they are stored.

    Args:
        rows: as in `read`.

    Raises:
        NotCached, EmbedkitError, ForeignCache, DamagedCache: as `read`.
    """
    if not path.exists():
        raise NotCached(f"there is no cache file {path}")
    with open_parts(path, known=True) as (file, plain), reading(path):
        n = file["X"].shape[0]
        wanted = None if rows is None else positions(rows, n)
        if wanted is None:
            return _vectors(file, plain, 0, n, file["X"].dtype)
        return _vectors_at(file, plain, path, wanted)


def _read_rows(path: Path, rows: Selection) -> EmbeddingSet:
    from embedkit.cache.elements import read_table

    with open_parts(path, known=True) as (file, plain), reading(path):
        wanted, back = np.unique(positions(rows, file["X"].shape[0]), return_inverse=True)
        X = _vectors_at(file, plain, path, wanted).astype(np.float32, copy=False)
        table = read_table(file["obs"], wanted)
        provenance, failed = _provenance_of(file, path), read_table(file["uns/failed"])
    if (back == np.arange(len(back))).all():
        return EmbeddingSet(X, table, provenance, failed)
    return EmbeddingSet(X[back], table.loc[back].reset_index(drop=True), provenance, failed)


def _vectors_at(file: "h5py.File", plain: BufferedReader, path: Path, asked: np.ndarray) -> np.ndarray:
    X, checksums = file["X"], file["uns"].get("checksums")
    wanted, back = np.unique(asked, return_inverse=True)
    parts = []
    for part in stretches(wanted, X.shape[1] * X.dtype.itemsize):
        first, last = int(part[0]), int(part[-1]) + 1
        read_now = _vectors(file, plain, first, last, X.dtype)[part - first]
        if checksums is not None and (row_checksums(read_now) != checksums[first:last][part - first]).any():
            raise DamagedCache(f"{path} is damaged: vectors of rows {first} to {last - 1} differ from their checksums")
        parts.append(read_now)
    found = np.concatenate(parts) if parts else np.empty((0, X.shape[1]), X.dtype)
    return found if len(back) == len(wanted) and (back == np.arange(len(back))).all() else found[back]


def _vectors(
    file: "h5py.File", plain: BufferedReader, first: int, last: int, into: "np.dtype[Any] | type"
) -> np.ndarray:
    X = file["X"]
    d = int(X.shape[1])
    at = (X.id.get_offset() or 0) + first * d * X.dtype.itemsize
    return read_vectors(plain, at, (last - first, d), X.dtype, into)


def read_named(path: Path, rows: Selection | None = None, *, verified: bool = False) -> EmbeddingSet:
    """As `read`, of a file that is known by its name.

    Raises:
        ForeignCache: as `refuse_renamed`.
    """
    found = read(path, rows, verified=verified)
    refuse_renamed(path, found.provenance)
    return found


def refuse_renamed(path: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse a file that is called as another one: its vectors would be taken for those of other images or encoders.

    Raises:
        ForeignCache: set, encoder or key are not those of its place and name.
    """
    name, encoder, key = (provenance[part] for part in ("name", "encoder", "key"))
    if (path.parent.name, path.stem) != (name, f"{encoder}.{key}"):
        raise ForeignCache(
            f"{path}: it holds embeddings of {name} by {encoder} with the key {key}, not those that it is called by: "
            "rename or remove it, and extract again"
        )
