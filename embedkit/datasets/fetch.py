"""Fetching a set that anyone may fetch: resumed where it broke off, checked against the publisher's MD5."""

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from embedkit.datasets.card import DatasetCard, OpenFile
from embedkit.datasets.errors import DatasetNotFound

TIMEOUT = 30
_ATTEMPTS = 4
_BLOCK = 1 << 20
_GONE = 416  # the server has no more bytes than were asked to be skipped
Progress = Callable[[int, int], None]
"""Told how many bytes of how many (0 where the server does not say) are here."""


def fetch(card: DatasetCard, folder: Path, progress: Progress | None = None) -> None:
    """Fetch the files of `card` into `folder`, which is made where it is missing.

    A file gets its final name only when its checksum is right; until then it is NAME.part, from whose end the next
    attempt goes on. A file that is there with the right checksum is not fetched.

    Raises:
        DatasetNotFound: the publisher can't be reached, the checksum is wrong, or the folder can't be written; the
            message names the file, the address and where to put it by hand.
    """
    for file in card.files:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _md5(folder / file.name) != file.md5:
                _retrieve(file, folder, progress or (lambda here, total: None))
        except (OSError, ValueError, http.client.HTTPException) as error:
            # Of a failed first attempt that brought nothing not even the folder should stay.
            part = folder / f"{file.name}.part"
            with contextlib.suppress(OSError):
                if not _size(part):
                    part.unlink(missing_ok=True)
                folder.rmdir()
            raise _by_hand(card, file, folder, _reason(error, part)) from error


def _retrieve(file: OpenFile, folder: Path, progress: Progress) -> None:
    part = folder / f"{file.name}.part"
    for attempt in range(_ATTEMPTS):
        begun = _size(part)
        try:
            _go_on(file.url, part, progress)
            break
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError)
            # A connection that breaks off is taken up again; one that brings nothing is given up.
            if refused or attempt + 1 == _ATTEMPTS or _size(part) == begun:
                raise
    if _md5(part) != file.md5:
        part.unlink()
        raise ValueError("what came does not have the publisher's checksum, so it was thrown away")
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(folder / file.name)


def _go_on(url: str, part: Path, progress: Progress) -> None:
    """Append to `part` what the server has beyond it."""
    here = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == _GONE and here:
            return
        raise
    with answer:
        # A server that knows no ranges sends the whole file.
        resumed = answer.status == http.client.PARTIAL_CONTENT
        here = here if resumed else 0
        left = int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as stream:
            got = 0
            while block := answer.read(_BLOCK):
                stream.write(block)
                got += len(block)
                progress(here + got, here + left if left else 0)
        if got < left:
            raise http.client.IncompleteRead(b"", left - got)


def _md5(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception, part: Path) -> str:
    if isinstance(error, ValueError):
        return str(error)
    what = {401: "; it asks for a login", 403: "; it asks for a login or an agreement"}
    more = what.get(error.code, "") if isinstance(error, urllib.error.HTTPError) else ""
    kept = f" ({_size(part):,} bytes are kept in {part}; again goes on from there)" if _size(part) else ""
    return f"{type(error).__name__}: {error}{more}{kept}"


def _by_hand(card: DatasetCard, file: OpenFile, folder: Path, reason: str) -> DatasetNotFound:
    return DatasetNotFound(
        f"could not fetch {file.name} of '{card.name}' from {file.url}: {reason}. Looked for it as "
        f"{folder / file.name} first: fetch it elsewhere (MD5 {file.md5}) and put it there."
    )
