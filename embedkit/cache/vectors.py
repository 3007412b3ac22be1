"""The vectors of a cache file, all or some rows, straight from where the seal says they lie."""

import os
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from typing import Any

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.machine import cores

Selection = slice | np.ndarray | list[int]
_BLOCK = 1 << 22
# Two wanted rows that are nearer than this many bytes are read with what lies between.
_GAP = 1 << 16


def positions(rows: Selection, n: int) -> np.ndarray:
    """Return the positions of rows, given as a slice, a boolean mask of shape (n,), or whole numbers from 0 to n - 1.

    Raises:
        EmbedkitError: it is none of these, or leaves the table.
    """
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n))
    asked = np.asarray(rows)
    if asked.dtype == bool and asked.shape == (n,):
        return np.flatnonzero(asked)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise EmbedkitError(f"rows must be a slice, positions, or a mask of {n:,} truth values")
    asked = asked.astype(np.int64)
    if asked.size and not 0 <= asked.min() <= asked.max() < n:
        raise EmbedkitError(f"rows go from {asked.min():,} to {asked.max():,}, but there are {n:,}, counted from 0")
    return asked


def stretches(wanted: np.ndarray, row_bytes: int) -> list[np.ndarray]:
    """Split rising positions where the gap between two is not worth reading."""
    far = np.flatnonzero(np.diff(wanted) * row_bytes > _GAP) + 1
    return [part for part in np.split(wanted, far) if len(part)]


def read_vectors(
    file: BufferedReader, at: int, shape: tuple[int, int], dtype: np.dtype[Any], into: np.dtype[Any] | type
) -> np.ndarray:
    """Return an array of a shape that lies at a byte of a file, in another type.

    Blocks are read and widened by several threads, each while it is in the processor's cache.

    Raises:
        OSError: the file ends before.
    """
    out = np.empty(shape, into)
    rows = max(1, _BLOCK // max(1, shape[1] * dtype.itemsize))

    def block(start: int) -> None:
        part = out[start : start + rows]
        raw = part if out.dtype == dtype else np.empty(part.shape, dtype)
        _fill(file.fileno(), at + start * shape[1] * dtype.itemsize, raw)
        if raw is not part:
            part[:] = raw

    with ThreadPoolExecutor(min(4, cores())) as readers:
        list(readers.map(block, range(0, shape[0], rows)))
    return out


def _fill(handle: int, at: int, raw: np.ndarray) -> None:
    left = raw.reshape(-1).view(np.uint8).data
    while left:
        got = os.preadv(handle, [left], at)
        if got == 0:
            raise OSError("it ends before its vectors do")
        left, at = left[got:], at + got
