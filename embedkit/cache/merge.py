"""Vectors from many files into one, in a stream."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from embedkit.cache.sealed import open_sealed, reading
from embedkit.cache.shards import Rows

if TYPE_CHECKING:
    import h5py

BLOCK_BYTES = 1 << 22
_DIGEST = np.dtype("S32")
_AT_ONCE = 1 << 16


def row_checksums(X: np.ndarray) -> np.ndarray:
    """Return of each row the first 8 bytes of its SHA-256, as uint64 of shape (n,)."""
    return np.frombuffer(b"".join(hashlib.sha256(row).digest()[:8] for row in X), "<u8")


def copy_vectors(file: "h5py.File", digests: Sequence[str], sources: list[Rows]) -> np.ndarray:
    """Copy the vectors of the digests into ``X`` and return the checksum of each."""
    origin = _origins(digests, sources)
    used = [sources[number].path for number in np.unique(origin[:, 0])]
    with open_sealed(used[0]) as first:
        d, dtype = first["X"].shape[1], first["X"].dtype
    X = file.create_dataset("X", (len(digests), d), dtype)
    X.attrs["encoding-type"], X.attrs["encoding-version"] = "array", "0.2.0"
    checksums = np.empty(len(digests), np.uint64)
    rows = max(1, BLOCK_BYTES // (d * dtype.itemsize))
    for start in range(0, len(digests), rows):
        block = origin[start : start + rows]
        out = np.empty((len(block), d), dtype)
        for number in np.unique(block[:, 0]):
            mine = np.flatnonzero(block[:, 0] == number)
            wanted, back = np.unique(block[mine, 1], return_inverse=True)
            path = sources[number].path
            with open_sealed(path) as source, reading(path):
                out[mine] = take(source["X"], wanted)[back]
        X[start : start + len(block)] = out
        checksums[start : start + len(block)] = row_checksums(out)
    return checksums


def _origins(digests: Sequence[str], sources: list[Rows]) -> np.ndarray:
    """Return of each digest the number of the first source that has it and its row there, of shape (n, 2).

    A dictionary would take six times the memory of these arrays.
    """
    ends = np.cumsum([source.count for source in sources])
    held = np.empty(ends[-1], _DIGEST)
    for source, end in zip(sources, ends, strict=True):
        held[end - source.count : end] = source.digests()
    order = np.argsort(held, kind="stable")
    found = np.empty(len(digests), np.intp)
    for start in range(0, len(digests), _AT_ONCE):
        wanted = np.array(digests[start : start + _AT_ONCE], _DIGEST)
        found[start : start + _AT_ONCE] = order[np.searchsorted(held, wanted, sorter=order)]
    del held, order
    number = np.searchsorted(ends, found, side="right")
    return np.stack([number, found - np.append(0, ends)[number]], axis=1)


def take(X: "h5py.Dataset", rows: np.ndarray) -> np.ndarray:
    """Return rows, given in rising order."""
    first, last = int(rows[0]), int(rows[-1]) + 1
    # HDF5 picks scattered rows one at a time; reading a dense stretch and picking in memory is far quicker.
    dense = last - first <= 4 * len(rows)
    taken: np.ndarray = X[first:last][rows - first] if dense else X[rows]
    return taken
