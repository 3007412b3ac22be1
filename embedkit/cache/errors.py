"""What can be wrong with a cache, each with its own name."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS, ESTALE
from pathlib import Path

from embedkit.errors import EmbedkitError


class CacheError(EmbedkitError):
    """A cache that can't be used or written."""


class NotCached(CacheError):
    """No cache file has what was asked for."""


class DamagedCache(CacheError):
    """A cache file is truncated or altered."""


class ForeignCache(CacheError):
    """A file that is no embedkit cache, or one of another format version, or called as another one."""


_FULL = {ENOSPC, EDQUOT, EFBIG}
_CLOSED = {EACCES, EPERM, EROFS, ENOTDIR, EEXIST, ENOENT, ENAMETOOLONG, ELOOP, EIO, ESTALE}


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn a full or closed disk under ``folder`` into a sentence.

    Raises:
        CacheError: the disk is full, or the folder can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CacheError(
                f"the disk of {folder} is full ({error.strerror}). What was done is kept: "
                "free some space and run the same command again"
            ) from error
        if error.errno in _CLOSED:
            raise CacheError(
                f"{folder} can't be written ({error.strerror}): choose another place with --cache or "
                "EMBEDKIT_CACHE, or mend its permissions"
            ) from error
        raise
