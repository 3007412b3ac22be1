"""A cache file that stays open after it was read, so that the rest of it can be read from the same file."""

import os
import weakref
from io import SEEK_CUR, SEEK_END, BufferedReader, RawIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Held:
    """Holds a file open, which may lose its name or see another one get it, until nobody has this object any more."""

    def __init__(self, file: BufferedReader) -> None:
        self._handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._handle)

    def reader(self) -> BufferedReader:
        """Return a reader with a place of its own in the file: threads and forked processes don't move each other's."""
        return BufferedReader(_ByPlace(self._handle))


class _ByPlace(RawIOBase):
    def __init__(self, handle: int) -> None:
        self._handle, self._at = handle, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        got = os.preadv(self._handle, [buffer], self._at)
        self._at += got
        return got

    def seek(self, offset: int, whence: int = 0) -> int:
        start = {SEEK_CUR: self._at, SEEK_END: os.fstat(self._handle).st_size}.get(whence, 0)
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at
