"""The footprint of a set: a hash that changes when anything changes that opening it and reading its images can see.

It is made of names, sizes, times and inodes, and of embedkit's own code, without opening an image or importing pandas.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from embedkit import images
from embedkit.datasets.addresses import file_of, inside
from embedkit.datasets.catalog import canonical, catalog
from embedkit.datasets.channels import with_paths
from embedkit.datasets.places import absolute, is_file, locate
from embedkit.datasets.tabular import read_cells
from embedkit.datasets.walk import walk
from embedkit.errors import EmbedkitError

# A file changed again within the clock's grain would keep its time stamp, so a fresh stamp proves nothing.
FRESH_NS = 2_000_000_000


def footprint(scheme: str, path: Path | str, root: Path | None = None) -> str | None:
    """Return the footprint of a set, or None where it has none: files that are absent or changed just now.

    Args:
        scheme: ``folder``, ``csv`` or another way to name one's own set, or empty for a set of the catalog.
        path: what is written behind it, or the name.
        root: as in `open_dataset`.
    """
    try:
        place, files = _places(scheme, path, root)
    except EmbedkitError:
        # Whoever opens the set will be told.
        return None
    return None if place is None else _hash(place, files)


def _places(scheme: str, path: Path | str, root: Path | None) -> tuple[str | None, Iterable[str]]:
    if scheme == "csv":
        base = absolute(root) if root else Path(path).parent
        cells = with_paths(Path(path), lambda names: read_cells(Path(path), names))
        if any(map(images.is_remote, cells)):
            # What is elsewhere has to be asked.
            return None, ()
        listed = [inside(base, cell) for cell in cells]
        found = [file_of(cell) for cell in listed if cell is not None]
        return (str(base), [str(path), *found]) if len(found) == len(listed) else (None, ())
    if scheme == "npz" or (scheme in ("hf", "wds") and is_file(Path(path))):
        return str(Path(path).parent), [str(path)]
    place = Path(path) if scheme else locate(catalog()[canonical(str(path)) or ""], root)
    if place is None:
        return None, ()
    seen = walk(place)
    return str(place), [*seen.files, *(name for name in seen.skipped if not name.endswith("/"))]


def _hash(place: str, files: Iterable[str]) -> str | None:
    newest = time.time_ns() - FRESH_NS
    total = hashlib.sha256(f"{place}\n".encode(errors="surrogateescape"))
    for path in (*_code(), *dict.fromkeys(files)):
        try:
            status = os.stat(os.path.join(place, path))  # noqa: PTH116, PTH118 - a Path per image costs seconds
        except (OSError, ValueError):
            return None
        if max(status.st_mtime_ns, status.st_ctime_ns) > newest:
            return None
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        total.update(f"{path}\0{stamp}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


@cache
def _code() -> tuple[str, ...]:
    # Another version of a reader may make another table of the same files.
    package = Path(__file__).parents[1]
    return tuple(str(file) for pattern in ("*.py", "*.toml") for file in sorted(package.rglob(pattern)))
