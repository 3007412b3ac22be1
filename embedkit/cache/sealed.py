"""A sealed HDF5 file: complete under its final name, with checksums of every byte in its user block.

HDF5 leaves the first 512 bytes of a file to the user; readers skip them. The seal there holds the size, where the
bytes of the vectors lie, the SHA-256 of all bytes behind the seal, and that of all but the vectors. The second is
checked whenever a file is opened, because damaged HDF5 structures can send the HDF5 library into an endless loop;
the first is checked by `verify_seal`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from io import SEEK_END, BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.cache.checked import note_checked, was_checked
from embedkit.cache.errors import CacheError, DamagedCache, ForeignCache, writing_to
from embedkit.cache.held import Held
from embedkit.cache.key import FORMAT_VERSION
from embedkit.cache.whole import TEMPORARY, whole_file

if TYPE_CHECKING:
    import h5py

BLOCK = 512
BULK = "X"
_MAGIC = b"embedkit cache, format "
_READ = 1 << 20


@dataclass(frozen=True)
class Seal:
    """What the first 512 bytes say of the rest: sizes in bytes, checksums as hexadecimal SHA-256."""

    size: int
    bulk_at: int
    bulk_size: int
    whole: str
    outside: str

    def encode(self) -> bytes:
        """Return the 512 bytes."""
        text = f"{FORMAT_VERSION}\nsize {self.size}\nvectors {self.bulk_at} {self.bulk_size}\n"
        text += f"sha256 {self.whole}\nsha256 without vectors {self.outside}\n"
        return (_MAGIC + text.encode()).ljust(BLOCK, b"\0")


def read_seal(path: Path) -> Seal:
    """Return what the seal of a file says.

    Raises:
        ForeignCache: no seal, or one of another format version.
        DamagedCache: a seal that can't be. CacheError: the file can't be read.
    """
    with _opened(path) as file:
        return _seal_of(file, path)


def _seal_of(file: BufferedReader, path: Path) -> Seal:
    file.seek(0)
    lines = file.read(BLOCK).rstrip(b"\0").split(b"\n")
    try:
        version = int(lines[0].removeprefix(_MAGIC))
    except ValueError as error:
        raise ForeignCache(
            f"{path} is not an embedkit cache, or its first {BLOCK} bytes are damaged. {_MEND}"
        ) from error
    if version != FORMAT_VERSION:
        raise ForeignCache(
            f"{path} has cache format {version}, this embedkit reads format {FORMAT_VERSION}: "
            f"use the embedkit that wrote it, or a new one. {_MEND}"
        )
    try:
        size, bulk, whole, outside = (line.split() for line in lines[1:5])
        seal = Seal(int(size[1]), int(bulk[1]), int(bulk[2]), whole[1].decode("ascii"), outside[-1].decode("ascii"))
    except (ValueError, IndexError) as error:
        raise _damaged(path, "its seal is not readable") from error
    if not (BLOCK <= seal.bulk_at <= seal.bulk_at + seal.bulk_size <= seal.size + BLOCK):
        raise _damaged(path, "its seal is not readable")
    return seal


_MEND = "Mend it (embedkit cache verify FILE --repair), or remove it (embedkit cache rm FILE) and extract again"


def _damaged(path: Path, why: object) -> DamagedCache:
    return DamagedCache(f"{path} is damaged: {why}. {_MEND}")


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        # A pipe would be waited for.
        if path.exists() and not path.is_file():
            raise CacheError(f"{path} is no file: remove it")
        file = path.open("rb")
    except OSError as error:
        raise CacheError(f"{path} can't be read: {error.strerror}") from error
    with file:
        yield file


def _make_seal(file: BufferedReader, bulk_at: int, bulk_size: int) -> Seal:
    whole, outside = hashlib.sha256(), _hash_of_the_rest(bulk_at, bulk_size)
    size = file.seek(0, SEEK_END) - BLOCK
    _feed(file, BLOCK, bulk_at, whole, outside)
    _feed(file, bulk_at, bulk_at + bulk_size, whole)
    _feed(file, bulk_at + bulk_size, size + BLOCK, whole, outside)
    return Seal(size, bulk_at, bulk_size, whole.hexdigest(), outside.hexdigest())


def _hash_of_the_rest(bulk_at: int, bulk_size: int) -> "hashlib._Hash":
    # Where the vectors lie is part of it: no other stretch may be taken for them.
    return hashlib.sha256(f"{bulk_at} {bulk_size}".encode())


def _feed(file: BufferedReader, start: int, end: int, *hashes: "hashlib._Hash") -> None:
    file.seek(start)
    while start < end and (part := file.read(min(_READ, end - start))):
        start += len(part)
        for one in hashes:
            one.update(part)


def _refuse_a_full_disk(temporary: Path, room: int) -> None:
    # HDF5 can crash the process when it runs out of space, so the space is asked for beforehand.
    if hasattr(os, "posix_fallocate"):
        with temporary.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room)


@contextmanager
def sealed_file(path: Path, room: int) -> Iterator["h5py.File"]:
    """Open a new HDF5 file that gets its name only when it is complete, sealed and on the disk.

    The vectors must be a dataset ``X`` of contiguous layout.

    Args:
        path: the final name. room: bytes that the file will not exceed by much.

    Raises:
        CacheError: the disk is full or the folder can't be written; nothing is left under ``path``.
    """
    import h5py

    with writing_to(path.parent), whole_file(path) as temporary:
        _refuse_a_full_disk(temporary, room)
        with h5py.File(temporary, "w", userblock_size=BLOCK, libver=("v110", "v110")) as file:
            yield file
            at, size = file[BULK].id.get_offset(), file[BULK].id.get_storage_size()
        with temporary.open("rb") as plain:
            seal = _make_seal(plain, at, size)
        with temporary.open("r+b") as file:
            file.write(seal.encode())


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left half-written in ``folder``. Call it under the lock only.

    Args:
        name: of the one file that is locked, where others in the folder may be being written.
    """
    for leftover in folder.glob(f".*{TEMPORARY}"):
        if leftover.is_file() and (name is None or f".{name}." in leftover.name):
            leftover.unlink(missing_ok=True)


# What h5py, numpy and json make of bytes that are sealed and not what embedkit writes: collected by fuzzing.
_DAMAGE = (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what HDF5 says of broken bytes into a sentence.

    Raises:
        DamagedCache: the file can't be read as what it should be.
        CacheError: it takes more memory than there is, as a file with a false length can.
    """
    try:
        yield
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    except MemoryError as error:
        raise CacheError(f"{path} can't be read in the memory that is free: ask for fewer rows") from error


def check_sealed(path: Path) -> Seal:
    """Return the seal of a file after its size and all its bytes but the vectors were checked.

    Raises:
        ForeignCache: no embedkit cache, or one of another format version.
        DamagedCache: truncated or altered outside of the vectors.
    """
    with _opened(path) as plain:
        return _check(plain, path)


def _check(plain: BufferedReader, path: Path) -> Seal:
    seal = _seal_of(plain, path)
    actual = plain.seek(0, SEEK_END)
    if actual != seal.size + BLOCK:
        raise _damaged(path, f"{actual} bytes instead of {seal.size + BLOCK}")
    outside = _hash_of_the_rest(seal.bulk_at, seal.bulk_size)
    _feed(plain, BLOCK, seal.bulk_at, outside)
    _feed(plain, seal.bulk_at + seal.bulk_size, actual, outside)
    if outside.hexdigest() != seal.outside:
        raise _damaged(path, "its bytes do not have the checksum of its seal")
    return seal


def _verify(plain: BufferedReader, path: Path) -> None:
    seal = _check(plain, path)
    plain.seek(0)
    if plain.read(BLOCK) != _make_seal(plain, seal.bulk_at, seal.bulk_size).encode():
        raise _damaged(path, "its bytes do not have the checksum of its seal")


@contextmanager
def open_sealed(path: Path, *, verified: bool = False) -> Iterator["h5py.File"]:
    """Open a sealed file for reading, after `check_sealed` or, if ``verified``, after `verify_seal`.

    What was checked is what is read, though another file gets the name meanwhile.

    Raises:
        ForeignCache, DamagedCache: see `check_sealed`; a file made to read outside itself.
    """
    with open_parts(path, verified=verified) as (file, _):
        yield file


@contextmanager
def open_parts(
    path: Path, *, verified: bool = False, known: bool = False
) -> "Iterator[tuple[h5py.File, BufferedReader]]":
    """Open a sealed file as `open_sealed` does, and give the plain file too, for the bytes of the vectors.

    Args:
        known: whether a file that was checked before, and has not changed since, is not checked again.
    """
    with _opened(path) as plain:
        if verified:
            _verify(plain, path)
        seal = _seal_of(plain, path)
        if not (verified or (known and was_checked(path, plain, seal.outside))):
            _check(plain, path)
            if known:
                note_checked(path, plain, seal.outside)
        with _structure(plain, seal, path) as file:
            yield file, plain


def reopener(plain: BufferedReader, path: Path) -> "Callable[[], AbstractContextManager[h5py.File]]":
    """Return what opens the file of `open_parts` once more, after `check_sealed`, whatever has its name by then.

    It raises DamagedCache as `check_sealed` does, and where the file itself was overwritten meanwhile.
    """
    return partial(_reopened, Held(plain), _seal_of(plain, path), path)


@contextmanager
def _reopened(held: Held, seal: Seal, path: Path) -> "Iterator[h5py.File]":
    with held.reader() as plain:
        if _check(plain, path) != seal:
            raise _damaged(path, "it was overwritten after it was opened")
        with _structure(plain, seal, path) as file:
            yield file


@contextmanager
def _structure(plain: BufferedReader, seal: Seal, path: Path) -> "Iterator[h5py.File]":
    import h5py

    from embedkit.cache.strange import strange

    with reading(path):
        file = h5py.File(plain, "r")
    with file:
        with reading(path):
            if what := strange(file, seal.size):
                raise _damaged(path, what)
            bulk = file[BULK].id
            if seal.bulk_size and (bulk.get_offset(), bulk.get_storage_size()) != (seal.bulk_at, seal.bulk_size):
                raise _damaged(path, f"'{BULK}' is not where its seal says")
        yield file


def verify_seal(path: Path) -> None:
    """Read every byte of a sealed file and compare it with the seal.

    Raises:
        ForeignCache: no seal, or one of another format version.
        DamagedCache: any byte differs.
    """
    with _opened(path) as plain:
        _verify(plain, path)
