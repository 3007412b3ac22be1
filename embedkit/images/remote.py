"""Images behind an address of fsspec: ``https://…``, ``s3://…``, ``gs://…``, ``memory://…``.

fsspec is the extra ``embedkit[remote]``, imported only for such an address; S3 and Google Cloud need ``s3fs`` or
``gcsfs`` besides. No answer is waited for longer than `time_limit`.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any

from embedkit.errors import EmbedkitError
from embedkit.images import policy
from embedkit.images.errors import MissingFile, TruncatedImage, UnreadableFile, UnsupportedImage, reason_of
from embedkit.images.policy import check_bytes

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_VARIABLE = "EMBEDKIT_REMOTE_SECONDS"
_SECONDS = 60.0
# A cloud drops a request now and then; one that fails thrice in a row has a reason.
_PAUSES = (0.1, 1.0)
_AT_ONCE = 32
_TIMES = ("LastModified", "Last-Modified", "mtime", "last_modified", "ctime")
_MARKS = ("ETag", "etag", "e_tag", "md5Hash", "Content-MD5", *_TIMES)
_NO_KEYS = "no permission to read it. Give this machine the keys of the store."

Stamp = tuple[int, int, int]


def is_remote(path: str) -> bool:
    """Return whether a path is an address of fsspec, and no file of this machine."""
    return _REMOTE.match(path) is not None


def is_known(url: str) -> bool:
    """Return whether fsspec has heard of an address's protocol, also of one that needs another package."""
    from fsspec.registry import known_implementations, registry

    protocol = url.partition("://")[0]
    return protocol in known_implementations or protocol in registry


def time_limit() -> float:
    """Return how many seconds an image may take: ``EMBEDKIT_REMOTE_SECONDS``, else 60.

    Raises:
        EmbedkitError: the variable is no number above 0.
    """
    written = os.environ.get(_VARIABLE, str(_SECONDS))
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise EmbedkitError(f"{_VARIABLE}={written} means nothing: give a number of seconds above 0")
    return seconds


def read_remote(url: str, stretch: tuple[int, int] | None = None) -> bytes:
    """Return the bytes behind an address, or ``stretch`` of them: the first byte and how many.

    Raises:
        MissingFile: there is nothing. UnreadableFile: no permission, no answer in time, a broken connection.
        TruncatedImage: it ends before the stretch does. TooManyPixels: it is too large.
        UnsupportedImage: a package is missing.
    """
    start, size = stretch or (0, 0)

    def ask(system: Any, path: str) -> bytes:
        if url.lower().startswith(("http://", "https://")):
            return _answer(system, path, stretch)
        if stretch:
            return bytes(_call(system, "cat_file", path, start=start, end=start + size))
        return _whole(system, path, url)

    with _named(url):
        data: bytes = _retried(ask, url)
    if stretch and len(data) != size:
        raise TruncatedImage(
            f"{url}: it has {len(data):,} of the {size:,} bytes from byte {start:,} on. Copy it again."
        )
    check_bytes(len(data), url)
    return data


def stamp(url: str) -> Stamp:
    """Return size and, twice, a hash of entity tag and time of change; 0 where the server tells neither.

    Raises:
        MissingFile, UnreadableFile, UnsupportedImage: as `read_remote`.
    """
    return _stamp(_info(url))


def stamps(urls: Sequence[str], fresh_ns: int) -> list[Stamp]:
    """Return the stamp of each address, many at once; zeros for one that can't be had.

    Args:
        fresh_ns: nanoseconds that must have passed since an image changed. One that is younger gets zeros for its mark:
            changed again within the grain of its time (a second, for web servers, some of which make the entity tag of
            it too), it would have the same.
    """

    def one(url: str) -> Stamp:
        now = time.time()
        try:
            info = _info(url)
        except (MissingFile, UnreadableFile, UnsupportedImage):
            return 0, 0, 0
        size, mark, _ = _stamp(info)
        fresh = any(now - _seconds(info[name]) < fresh_ns / 1e9 for name in _TIMES if info.get(name))
        return (size, 0, 0) if fresh else (size, mark, mark)

    with ThreadPoolExecutor(_AT_ONCE) as readers:
        return list(readers.map(one, urls))


def _info(url: str) -> dict[str, Any]:
    def ask(system: Any, path: str) -> dict[str, Any]:
        from fsspec.implementations.local import LocalFileSystem

        info: dict[str, Any] = _call(system, "info", path)
        # A copy may keep the time of change of another file, but not that of the inode.
        return info | {"ctime": os.stat(path).st_ctime} if isinstance(system, LocalFileSystem) else info  # noqa: PTH116

    with _named(url):
        info: dict[str, Any] = _retried(ask, url)
    return info


def _stamp(info: dict[str, Any]) -> Stamp:
    told = [f"{name} {info[name]}" for name in _MARKS if info.get(name)]
    # 15 hexadecimal digits fit 64 bits.
    mark = int(hashlib.sha256("\n".join(told).encode()).hexdigest()[:15], 16) if told else 0
    return int(info.get("size") or 0), mark, mark


def _seconds(told: Any) -> float:
    """Return a time as a server tells it, in seconds since 1970; 0 for what is none."""
    if isinstance(told, int | float):
        return told
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError):
            return read(str(told)).timestamp()
    return 0.0


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Turn what a file system of fsspec says into the `ImageError` that names the address."""
    try:
        yield
    except ImportError as error:
        lacks = "pip install 'embedkit[remote]'" if error.name == "fsspec" else reason_of(error)
        raise UnsupportedImage(f"{url}: it can't be read without another package ({lacks})") from error
    except FileNotFoundError as error:
        raise MissingFile(f"{url}: there is nothing at this address.") from error
    except PermissionError as error:
        raise UnreadableFile(f"{url}: {_NO_KEYS}") from error
    except TimeoutError as error:
        raise UnreadableFile(
            f"{url}: not here within {time_limit():g} s. Try again, or give it longer with {_VARIABLE}."
        ) from error
    except EmbedkitError:
        raise
    except Exception as error:
        # Every file system has errors of its own, some of them plain Exceptions.
        if _lacks_keys(error):
            raise UnreadableFile(f"{url}: {_NO_KEYS}") from error
        raise UnreadableFile(f"{url}: it can't be read ({reason_of(error)}). Try again.") from error


def _retried(ask: Callable[[Any, str], Any], url: str) -> Any:
    import fsspec

    end = time.monotonic() + time_limit()
    # Instances are kept by fsspec, and with them their connections.
    system, path = fsspec.core.url_to_fs(url, **_options(url))
    for pause in _PAUSES:
        try:
            return ask(system, path)
        except (FileNotFoundError, PermissionError, ImportError, EmbedkitError):
            raise
        except Exception as error:
            if _lacks_keys(error) or time.monotonic() + pause >= end:
                raise
            time.sleep(pause)
    return ask(system, path)


def _whole(system: Any, path: str, url: str) -> bytes:
    """Return an object, of which no more than one byte too many is read.

    Raises:
        TooManyPixels: it is larger than `MAX_BYTES`.
    """
    from fsspec import asyn

    if not isinstance(system, asyn.AsyncFileSystem):
        check_bytes(int(_call(system, "info", path).get("size") or 0), url)
        return bytes(_call(system, "cat_file", path))
    try:
        return bytes(_call(system, "cat_file", path, start=0, end=policy.MAX_BYTES + 1))
    except (FileNotFoundError, PermissionError, ImportError):
        raise
    except Exception:
        # No range lies within an empty object.
        if _call(system, "info", path).get("size") != 0:
            raise
        return b""


def _answer(system: Any, url: str, stretch: tuple[int, int] | None) -> bytes:
    """Return what a web server sends, which may have no end, and may inflate to more than was sent.

    Raises:
        TooManyPixels: it goes on beyond `MAX_BYTES`; no more of it is read then.
    """
    headers = dict(system.kwargs.get("headers", {}))
    if stretch and not stretch[1]:
        return b""
    if stretch:
        headers["Range"] = f"bytes={stretch[0]}-{sum(stretch) - 1}"
    received = _Limited(url)
    _call(system, "get_file", url, lpath=received, headers=headers)
    return received.getvalue()


class _Limited(BytesIO):
    """Bytes written piece by piece, refused once they are too many."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def write(self, piece: Any) -> int:
        check_bytes(self.tell() + len(piece), self._url)
        return super().write(piece)


def _lacks_keys(error: Exception) -> bool:
    # botocore and google-auth say so each in a class of their own, with this word in its name.
    return "Credentials" in type(error).__name__


def _options(url: str) -> dict[str, Any]:
    """Return what a file system is made with: for S3, that botocore makes a request once, since it is repeated here.

    Its five attempts for each of ours took 15 to 30 seconds of each image where no server answers. What the user has
    set for it holds.
    """
    from fsspec.config import conf

    if not url.lower().startswith(("s3://", "s3a://")) or "AWS_MAX_ATTEMPTS" in os.environ:
        return {}
    scheme = url.partition("://")[0].lower()
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}} | conf.get(scheme, {}).get("config_kwargs", {})}


def _call(system: Any, method: str, path: str, **arguments: Any) -> Any:
    """Call a method of a file system; one that works asynchronously is not waited for longer than the limit."""
    from fsspec import asyn

    if isinstance(system, asyn.AsyncFileSystem):
        return asyn.sync(system.loop, getattr(system, f"_{method}"), path, timeout=time_limit(), **arguments)
    return getattr(system, method)(path, **arguments)
