"""Fetching a set that anyone may fetch: pooch, checked against the publisher's MD5, whole or not at all."""

import contextlib
import sys
from pathlib import Path

from embedkit.datasets.card import DatasetCard, OpenFile
from embedkit.datasets.errors import DatasetNotFound

TIMEOUT = 30


def fetch(card: DatasetCard, folder: Path) -> None:
    """Fetch the files of `card` into `folder`, which is made where it is missing.

    A file gets its final name only when its checksum is right.

    Raises:
        DatasetNotFound: pooch is not installed, the publisher can't be reached, the checksum is wrong, or the
            folder can't be written; the message names the file, the address and where to put it by hand.
    """
    for file in card.files:
        try:
            _retrieve(file, folder)
        except ImportError as error:
            raise _by_hand(card, file, folder, "fetching needs pip install 'embedkit[download]'") from error
        except (OSError, ValueError) as error:
            # Of a failed first attempt not even the folder should stay.
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise _by_hand(card, file, folder, _reason(error)) from error


def _retrieve(file: OpenFile, folder: Path) -> None:
    import pooch

    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    pooch.retrieve(file.url, f"md5:{file.md5}", fname=file.name, path=folder, downloader=downloader)


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and "hash" in str(error):
        return "what came does not have the publisher's checksum, so it was thrown away"
    return f"{type(error).__name__}: {error}"


def _by_hand(card: DatasetCard, file: OpenFile, folder: Path, reason: str) -> DatasetNotFound:
    return DatasetNotFound(
        f"could not fetch {file.name} of '{card.name}' from {file.url}: {reason}. Looked for it as "
        f"{folder / file.name} first: fetch it elsewhere (MD5 {file.md5}) and put it there."
    )
