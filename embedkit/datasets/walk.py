"""Every image file under a folder, in a fixed order, with what was left out; quick for a million files."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from embedkit.errors import EmbedkitError

_RASTER = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".gif", ".webp"}
IMAGE_SUFFIXES = frozenset(_RASTER | {".dcm", ".dicom", ".dic"})
_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_SHOWN = 5


@dataclass(frozen=True)
class Walk:
    """What lies under a folder: paths relative to it, with ``/``.

    Attributes:
        files: the images, sorted.
        skipped: the rest: hidden and foreign files, and (with a final ``/``) folders not entered.
    """

    files: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, int | list[str]]:
        """Return how many entries were left out, and the first few names."""
        return {"count": len(self.skipped), "examples": sorted(self.skipped)[:_SHOWN]}


def suffix(name: str) -> str:
    """Return the lower-case extension of a file name; empty too for the last number of a DICOM UID."""
    stem, _, extension = name.rpartition(".")
    return "" if not stem or extension.isdigit() or "/" in extension else f".{extension.lower()}"


def walk(root: Path) -> Walk:
    """List the images under `root`.

    Linked folders are entered after all real ones, each folder once, so a loop of links ends.

    Raises:
        EmbedkitError: a folder can't be read, or lies too deep; a name is not valid Unicode.
    """
    found = Walk()
    seen: set[tuple[int, int]] = set()
    real: list[str] = [""]
    linked: list[str] = []
    while real or linked:
        if not real:
            linked.sort(reverse=True)
        folder = (real or linked).pop()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                found.skipped.append(folder + "/")
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    _sort_in(entry, f"{folder}/{entry.name}" if folder else entry.name, real, linked, found)
        except OSError as error:
            raise EmbedkitError(_unlistable(str(root / folder), error)) from error
    found.files.sort()
    _check_names(found.files)
    return found


def _unlistable(folder: str, error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        # Images in it couldn't be opened either, and to leave them out would be to say that there are none.
        return (
            f"can't list {folder[:200]}…{folder[-50:]}: its path of {len(os.fsencode(folder)):,} bytes is longer than "
            "this system takes. Remove it, move it up, or shorten the names of the folders above it."
        )
    return f"can't list {folder}: {error.strerror}. Check its permissions."


def _sort_in(entry: os.DirEntry[str], path: str, real: list[str], linked: list[str], found: Walk) -> None:
    hidden = entry.name.startswith(".") or entry.name in _JUNK
    if _is_folder(entry):
        if hidden:
            found.skipped.append(path + "/")
        else:
            (linked if entry.is_symlink() else real).append(path)
    elif not hidden and _is_image(entry):
        found.files.append(path)
    else:
        found.skipped.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    extension = suffix(entry.name)
    if extension and extension not in IMAGE_SUFFIXES:
        return False
    # A dead link and a file without permission are images that can't be read: the extraction lists them as failed.
    if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
        return bool(extension)
    return entry.is_file() and (bool(extension) or _is_dicom(entry.path))


def _is_dicom(path: str) -> bool:
    """Tell DICOM from a README: by its preamble, or in an old file without one by its first group."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(132)
    except PermissionError:
        return True
    return start[128:] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00")


def _check_names(files: list[str]) -> None:
    try:
        "\n".join(files).encode("utf-8")
    except UnicodeEncodeError as error:
        bad = "\n".join(files)[: error.start].count("\n")
        raise EmbedkitError(f"the file name {os.fsencode(files[bad])!r} is not valid UTF-8: rename it.") from None
