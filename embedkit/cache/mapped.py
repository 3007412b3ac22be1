"""Vectors as a map of their file: they take memory while they are looked at, and the system can have it back."""

import mmap
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

import numpy as np

from embedkit.cache.vectors import widen

# So many bytes are looked at before they are given back.
_STRETCH = 1 << 24


def map_vectors(plain: BufferedReader, at: int, shape: tuple[int, int], kind: np.dtype[Any]) -> np.ndarray:
    """Return vectors (n, d) of some kind that lie in an open file from byte ``at`` on; they can't be written to.

    The file may lose its name or another one may get it: the map is of the file that was opened.
    """
    mapped = np.memmap(plain, kind, "r", at, shape)
    # HDF5 puts vectors at a multiple of 8 bytes; a file where they lie otherwise is read.
    return np.require(np.asarray(mapped), kind, "A")


def blocks_of(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of X in order, some at a time; of a map, their memory is given back after each."""
    for part in _parts(X, len(X)):
        yield X[part]
        let_go(X)


def take_rows(X: np.ndarray, rows: np.ndarray, into: type[np.floating] | None = None) -> np.ndarray:
    """Return ``X[rows]`` for positions (m,); of a map, the memory of what was looked at is given back on the way.

    Args:
        into: another type of theirs.
    """
    found = np.empty((len(rows), *X.shape[1:]), into or X.dtype)
    for part in _parts(X, len(rows)):
        widen(X[rows[part]], found[part])
        let_go(X)
    return found


def let_go(X: np.ndarray) -> None:
    """Give back the memory that a map takes; what is looked at again comes from the file. Other arrays stay."""
    base: object = X
    while isinstance(base, np.ndarray):
        # What was written to a map of another mode would be lost.
        if isinstance(base, np.memmap) and base.mode != "r":
            return
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def _parts(X: np.ndarray, rows: int) -> Iterator[slice]:
    step = max(1, _STRETCH // max(1, X[:1].nbytes))
    return (slice(start, start + step) for start in range(0, rows, step))
