"""Unpacking an archive of a set: whole or not at all, and never outside its folder."""

import gzip
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from embedkit.errors import EmbedkitError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip or tar file into `folder`; what is there already is kept unless the archive has it too.

    Returns:
        How many files it had.

    Raises:
        EmbedkitError: it is no archive, damaged, or has members that would leave the folder, or the disk is full or
            closed; nothing is unpacked.
    """
    if not archive.is_file():
        raise EmbedkitError(f"there is no file {archive}: give the archive that you downloaded")
    with _writing(folder, archive):
        folder.mkdir(parents=True, exist_ok=True)
        return _unpack(archive, folder)


@contextmanager
def _writing(folder: Path, archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbedkitError(
            f"{archive} can't be unpacked into {folder} ({error.strerror or error}): free some space, or mend its "
            "permissions. Nothing of it was unpacked."
        ) from error


def _unpack(archive: Path, folder: Path) -> int:
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as name:
        try:
            _extract(archive, Path(name))
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError) as error:
            raise EmbedkitError(f"{archive} can't be unpacked ({_first_line(error)}): download it again.") from error
        files = [path for path in sorted(Path(name).rglob("*")) if path.is_file()]
        for path in files:
            target = folder / path.relative_to(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    return len(files)


def members(archive: Path) -> list[str]:
    """Return the files of an archive, relative to where it is unpacked.

    Raises:
        EmbedkitError: it is no archive, or damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                return [item.filename for item in zipped.infolist() if not item.is_dir()]
        _refuse_half_a_zip(archive)
        with tarfile.open(archive) as tarred:
            return [item.name for item in tarred if item.isfile()]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise EmbedkitError(f"{archive} is no whole archive ({_first_line(error)}): download it again.") from error


def _extract(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            refuse_outside(archive, zipped.namelist())
            if damaged := zipped.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            zipped.extractall(folder)
        return
    _refuse_half_a_zip(archive)
    with tarfile.open(archive) as tarred:
        refuse_outside(archive, tarred.getnames())
        tarred.extractall(folder, filter="data")


def _refuse_half_a_zip(archive: Path) -> None:
    # The list of a zip is at its end: without it, it is no zip to zipfile and no tar to tarfile.
    with archive.open("rb") as stream:
        if stream.read(4) == b"PK\3\4":
            raise zipfile.BadZipFile("it ends before the list of its files")


def refuse_outside(archive: Path, names: Iterable[str]) -> None:
    """Refuse an archive with a member whose name leads out of its folder.

    Raises:
        EmbedkitError: it has one.
    """
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            raise EmbedkitError(
                f"{archive} has the member '{name}', which would leave the folder: nothing was taken from it. "
                "This is no archive of a publisher; get it from the homepage."
            )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
