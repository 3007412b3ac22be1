"""One row of an array inside an ``.npz``, read in a stream: the array is never loaded.

An npz is a zip of ``.npy`` files. Reading on from where the last row ended costs only that row; going back in a
compressed array begins it again, so rows are best asked for in order.
"""

import hashlib
import lzma
import os
import struct
import threading
import zipfile
import zlib
from functools import lru_cache
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

from embedkit.images.errors import DamagedImage, EmptyFile, NoSuchPart, TruncatedImage, UnsupportedImage, reason_of
from embedkit.images.files import Stamp, look, reading
from embedkit.images.policy import check_size
from embedkit.images.window import Pixels, Values, min_max, require_finite

# What zipfile and numpy's header raise on damaged files: collected by fuzzing.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, SyntaxError, LookupError,
    EOFError, RuntimeError, OverflowError, TypeError,
)  # fmt: skip

_CHUNK = 1 << 20

# An open array has one position in its stream, and threads would move it under each other.
_one_at_a_time = threading.Lock()


class _Array(NamedTuple):
    stream: IO[bytes]
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def read_row(path: str, array: str, row: int, name: str) -> Values:
    """Return one row of an array of an npz as it is stored, (H, W) or (H, W, 3).

    Args:
        path: the npz file.
        array: the name of an array of shape (n, H, W) or (n, H, W, 3), of whole or floating-point numbers.
        row: which of the n, 0-based.
        name: what errors call it.

    Raises:
        NoSuchPart: no such array or row.
        UnsupportedImage: an array that is not a stack of images.
        ImageError: the subclass for what else is wrong.
    """
    stamp = look(path)
    if stamp[1] == 0:
        raise EmptyFile(f"{name}: the file has no bytes. Copy it again.")
    with _one_at_a_time:
        try:
            # A forked process shares the position of an open file with its parent, so it opens its own.
            return _read(_open(path, array, stamp, os.getpid()), row, name)
        except _DAMAGE as error:
            _open.cache_clear()
            raise DamagedImage(
                f"{name}: the npz cannot be read ({reason_of(error)}). Copy or save it again."
            ) from error


def to_rgb(row: Values, name: str) -> Pixels:
    """Return a row as pixels, (H, W, 3): uint8 as it is, wider types through the min-max window.

    Raises:
        NotFinite: floating-point values are NaN or infinite.
    """
    require_finite(row, name)
    pixels = row if row.dtype == np.uint8 else min_max(row)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def row_digest(row: Values) -> str:
    """Return the identity of a row: 32 hex digits of the sha256 of its dtype, shape and bytes."""
    digest = hashlib.sha256(f"{row.dtype.str}{row.shape}".encode())
    digest.update(row.data)
    return digest.hexdigest()[:32]


def _read(array: _Array, row: int, name: str) -> Values:
    count, shape = array.shape[0], array.shape[1:]
    if row >= count:
        raise NoSuchPart(f"{name}: there is no row {row}. The array has {count} rows, counted from 0.")
    size = prod(shape) * array.dtype.itemsize
    position = array.start + row * size
    if array.stream.tell() > position:
        array.stream.seek(0)
    while (gap := position - array.stream.tell()) > 0 and array.stream.read(min(gap, _CHUNK)):
        pass
    data = array.stream.read(size) if gap <= 0 else b""
    if len(data) < size:
        raise TruncatedImage(f"{name}: the array ends before this row. Copy or save the file again.")
    return np.frombuffer(bytearray(data), array.dtype).reshape(shape)


@lru_cache(maxsize=4)
def _open(path: str, array: str, stamp: Stamp, process: int) -> _Array:
    """Return an open array. Its stamp and process are in the key, so that neither a new file nor a fork meets it."""
    with reading(path):
        archive = zipfile.ZipFile(path)
    if f"{array}.npy" not in archive.namelist():
        held = ", ".join(sorted(member.removesuffix(".npy") for member in archive.namelist()))
        raise NoSuchPart(f"{path}: it holds no array '{array}'. It holds: {held or 'nothing'}.")
    stream = archive.open(f"{array}.npy")
    if np.lib.format.read_magic(stream) == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    images = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if dtype.kind not in "uifb" or not images or fortran:
        raise UnsupportedImage(
            f"{path}: its array '{array}' ({dtype}, {shape}{', in Fortran order' if fortran else ''}) is no stack of "
            "images. Save numbers of shape (n, height, width) or (n, height, width, 3) in C order."
        )
    check_size(shape[2], shape[1], f"{path}#{array}")
    return _Array(stream, stream.tell(), dtype, shape)
