"""A file that is whole under its name or not there, whenever the writer is killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedkit.errors import EmbedkitError

TEMPORARY = ".tmp"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give another name to write to; on leaving, the file gets its own. After an error nothing stays.

    A killed writer leaves a file whose name begins with a dot and ends in `TEMPORARY`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def saved(what: str, path: Path) -> Iterator[Path]:
    """As `whole_file`, for what a user asked to be saved.

    Raises:
        EmbedkitError: ``what``, in words, can't be written there.
    """
    try:
        with whole_file(path) as temporary:
            yield temporary
    except OSError as error:
        raise EmbedkitError(
            f"{what} can't be written to {path} ({error.strerror}): free some space, or choose another folder"
        ) from error


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
