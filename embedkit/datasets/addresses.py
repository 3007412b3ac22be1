"""Paths as written in a table or found in a folder -> addresses: inside the root, one per frame."""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from embedkit import images
from embedkit.datasets.walk import suffix

_WINDOWS_ABSOLUTE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_MULTI_FRAME = frozenset({"", ".dcm", ".dicom", ".dic", ".tif", ".tiff", ".gif"})


def file_of(address: str) -> str:
    """Return the file of an address: without the fragment that names a part of it."""
    return images.split_address(address)[0]


def there(path: Path) -> bool:
    """Return whether a path exists; False too for one that no disk can hold."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def inside(base: Path, written: str) -> str | None:
    """Return a written path relative to `base` with ``/``, or None where it leaves `base`.

    Judged by the text alone: a link inside `base` that leads elsewhere was put there by the user.
    """
    if _WINDOWS_ABSOLUTE.match(written):
        return None
    if "\\" in written and not there(base / file_of(written)):
        written = written.replace("\\", "/")
    top = posixpath.normpath(base.as_posix()).rstrip("/") + "/"
    whole = posixpath.normpath(written if written.startswith("/") else top + written)
    return whole.removeprefix(top) if whole.startswith(top) else None


def multi_frame(path: str) -> bool:
    """Return whether a file is of a format that may hold several images."""
    return suffix(path) in _MULTI_FRAME


def frames(root: Path, path: str) -> list[str]:
    """Return the addresses in one file: the file itself, or each frame of a file that has several."""
    if images.is_remote(path) or not multi_frame(path) or file_of(path) != path or images.split_channels(path):
        return [path]
    try:
        count = images.frame_count(str(root / path))
    except images.ImageError:
        # The extraction reads it again, and lists it as failed with the reason.
        return [path]
    return [path] if count == 1 else [f"{path}#frame={number}" for number in range(count)]


def by_stem(files: Iterable[str], stem: str = "") -> dict[str, str]:
    """Return file name without extension (or group 1 of the pattern `stem` in it) -> path; of several, the first."""
    stems: dict[str, str] = {}
    for file in files:
        name = posixpath.splitext(posixpath.basename(file))[0]
        match = re.match(stem, name) if stem else None
        stems.setdefault(match[1] if match else name, file)
    return stems
