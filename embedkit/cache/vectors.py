"""The vectors of a cache file, all or some rows, straight from where the seal says they lie."""

import os
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from typing import Any

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.machine import cores

Selection = slice | np.ndarray | list[int]
# So many bytes are read at once; of what is widened fewer, so that it stays in a core's cache.
_BLOCK = 1 << 22
WIDENED_BLOCK = 1 << 19
# Two wanted rows that are nearer than this many bytes are read with what lies between.
_GAP = 1 << 16

_SIGN_AND_HALF = np.int32(-0x70002000)
_SCALE = np.float32(2.0**112)
_BEYOND_HALF = np.float32(65536)
# The least half before it is scaled: 0 where this thread's processor is told to take subnormal numbers for 0.
_LEAST = np.float32(2.0**-136)


def positions(rows: Selection, n: int) -> np.ndarray:
    """Return the positions of rows, given as a slice, a boolean mask of shape (n,), or whole numbers from 0 to n - 1.

    Raises:
        EmbedkitError: it is none of these, or leaves the table.
    """
    if isinstance(rows, slice):
        try:
            return np.arange(*rows.indices(n))
        except (TypeError, ValueError) as error:
            raise EmbedkitError(f"rows = {rows}: {error}") from error
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
    rows = max(1, (_BLOCK if out.dtype == dtype else WIDENED_BLOCK) // max(1, shape[1] * dtype.itemsize))

    def block(start: int) -> None:
        part = out[start : start + rows]
        raw = part if out.dtype == dtype else np.empty(part.shape, dtype)
        _fill(file.fileno(), at + start * shape[1] * dtype.itemsize, raw)
        if raw is not part:
            widen(raw, part)

    with ThreadPoolExecutor(min(4, cores())) as readers:
        list(readers.map(block, range(0, shape[0], rows)))
    return out


def widen(raw: np.ndarray, out: np.ndarray) -> None:
    """Put values into a contiguous array of another type; halves into singles exactly, in a third of numpy's time.

    A half has its sign, exponent and fraction in the order of a single: shifted into place they are that number,
    too small by 2**112.
    """
    if (raw.dtype, out.dtype) == (np.dtype("<f2"), np.dtype("<f4")) and _LEAST * _SCALE > 0:
        bits = out.view(np.int32)
        bits[:] = raw.view(np.int16)
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, _SIGN_AND_HALF, out=bits)
        np.multiply(out, _SCALE, out=out)
        # Infinity and NaN come out as numbers beyond the largest half.
        if not out.size or -_BEYOND_HALF < out.min() <= out.max() < _BEYOND_HALF:
            return
    out[:] = raw


def _fill(handle: int, at: int, raw: np.ndarray) -> None:
    left = raw.reshape(-1).view(np.uint8).data
    while left:
        got = os.preadv(handle, [left], at)
        if got == 0:
            raise OSError("it ends before its vectors do")
        left, at = left[got:], at + got
