"""The bytes of a file, or the named reason why there are none."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from embedkit.images.errors import MissingFile, TruncatedImage, UnreadableFile
from embedkit.images.policy import check_bytes
from embedkit.images.remote import is_remote, read_remote, stamp

Stamp = tuple[int, int, int, int]
"""Inode, size and time of change: another stamp under the same path is another file."""


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn the operating system's refusal of a path into the `ImageError` that names it."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(f"{path}: there is no such file. Check the path, and what it is relative to.") from error
    except PermissionError as error:
        raise UnreadableFile(f"{path}: no permission to read it. Change its permissions or its owner.") from error
    except OSError as error:
        raise UnreadableFile(f"{path}: it cannot be read ({error.strerror or error}). Copy it again.") from error


def look(path: str) -> Stamp:
    """Return the stamp of a regular file without opening it.

    Raises:
        MissingFile: there is none.
        UnreadableFile: a folder, a device, or one that the system does not let us see.
    """
    if is_remote(path):
        size, mark, _ = stamp(path)
        return mark, size, mark, mark
    try:
        with reading(path):
            # A Path interns the parts of its name, and the table of interned texts grows by all that were ever in it.
            found = os.stat(path)  # noqa: PTH116
    except ValueError as error:
        raise MissingFile(f"{path!r}: no file can have this name ({error}). Check the path.") from error
    if stat.S_ISDIR(found.st_mode):
        raise UnreadableFile(f"{path}: it is a folder. Name the image files in it.")
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFile(f"{path}: it is not a regular file. Copy the image to a file first.")
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_bytes(path: str) -> bytes:
    """Return the whole file.

    Raises:
        TooManyPixels: it is larger than `MAX_BYTES`.
        MissingFile, UnreadableFile: as `look`.
    """
    if is_remote(path):
        return read_remote(path)
    check_bytes(look(path)[1], path)
    with reading(path), open(path, "rb") as stream:  # noqa: PTH123 - as in `look`
        return stream.read()


def hash_bytes(path: str) -> "hashlib._Hash":
    """Return the sha256 of a whole file of this machine, of which no more than a piece is in memory.

    Raises:
        TooManyPixels, MissingFile, UnreadableFile: as `read_bytes`.
    """
    check_bytes(look(path)[1], path)
    with reading(path), open(path, "rb") as stream:  # noqa: PTH123 - as in `look`
        return hashlib.file_digest(stream, "sha256")


def read_stretch(path: str, start: int, size: int, name: str) -> bytes:
    """Return `size` bytes of a file, from byte `start` on.

    Args:
        name: what errors call it.

    Raises:
        TruncatedImage: the file ends before.
        TooManyPixels, MissingFile, UnreadableFile: as `read_bytes`.
    """
    check_bytes(size, name)
    if is_remote(path):
        return read_remote(path, (start, size))
    held = look(path)[1]
    if held < start + size:
        raise TruncatedImage(f"{name}: the file ends at byte {held:,}, before the image does. Copy it again.")
    with reading(path), open(path, "rb") as stream:  # noqa: PTH123 - as in `look`
        stream.seek(start)
        return stream.read(size)
