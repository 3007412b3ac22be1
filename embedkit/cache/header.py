"""What a cache file holds: its table, ledger, stamps and provenance, and its vectors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache.embedding_set import EmbeddingSet
from embedkit.cache.errors import DamagedCache, NotCached
from embedkit.cache.sealed import open_sealed, reading
from embedkit.cache.shards import Rows

if TYPE_CHECKING:
    import h5py
    import pandas as pd

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
        """Return the digests behind the rows of ``X``."""
        return Rows(self.path, tuple(self.table["digest"]))


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
    from embedkit.cache.elements import read_dict, read_table

    uns = read_dict(file["uns"])
    n, d = file["X"].shape
    table = read_table(file["obs"])
    header = Cached(path, (n, d), file["X"].dtype, table, uns["failed"], uns["files"], _unpack(uns["embedkit"]))
    for frame, columns in ((table, _TABLE), (header.failed, _FAILED), (header.files, _FILES)):
        if missing := [name for name in columns if name not in frame]:
            raise DamagedCache(f"{path} is damaged: it has no column '{missing[0]}'")
    if not n == len(table) == len(header.files):
        raise DamagedCache(f"{path} is damaged: {n} vectors for {len(table)} rows")
    if missing := [name for name in _PROVENANCE if name not in header.provenance]:
        raise DamagedCache(f"{path} is damaged: it has no '{missing[0]}'")
    return header


def read(path: Path) -> EmbeddingSet:
    """Read a cache file whole, vectors as float32 of shape (n, d).

    Raises:
        NotCached: there is no such file.
        ForeignCache, DamagedCache: see `open_sealed`.
    """
    if not path.exists():
        raise NotCached(f"there is no cache file {path}")
    with open_sealed(path) as file, reading(path):
        header = header_of(file, path)
        # numpy widens many times faster than HDF5.
        X = file["X"][()].astype(np.float32, copy=False)
    return EmbeddingSet(X, header.table, header.provenance, header.failed)
