"""What is known of each image before any is decoded: its digest, and whether a vector of it exists."""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit import images
from embedkit.cache import Cached
from embedkit.datasets import ImageSet
from embedkit.datasets.footprint import FRESH_NS
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import pandas as pd

_READERS = 8
STAMP = ["size", "mtime_ns", "ctime_ns"]


def canonical_table(dataset: ImageSet) -> "pd.DataFrame":
    """Return the table as a cache gives it back: text as str with NaN for gaps, numbers as 64 bit.

    Raises:
        EmbedkitError: a column bears a name that the cache needs.
    """
    import pandas as pd

    if "digest" in dataset.table:
        raise EmbedkitError(f"{dataset.name} has a column 'digest', which is embedkit's own: rename it")
    columns: dict[Any, Any] = {}
    for name, values in dataset.table.items():
        kind = values.dtype.kind
        if kind in "iu":
            columns[name] = values.astype(np.int64)
        elif kind == "f":
            columns[name] = values.astype(np.float64)
        elif kind == "b":
            columns[name] = values
        else:
            columns[name] = values.astype(object).where(values.notna(), np.nan).map(str, na_action="ignore")
    return pd.DataFrame(columns).astype({name: object for name, c in columns.items() if c.dtype.kind not in "iufb"})


def file_stamps(addresses: Sequence[str]) -> "pd.DataFrame":
    """Return size and times of the file behind each address; times 0 where absent or too fresh to be trusted.

    The time of the last change of the inode tells what a copy that keeps the other time, or a swap of names, hides.
    Behind a remote address both times are a hash of the entity tag and time that its server tells. Of several files it
    is the sum of the sizes, and a hash in the place of the times.
    """
    import pandas as pd

    behind = [images.files_of(address) for address in addresses]
    paths = dict.fromkeys(file for files in behind for file in files)
    remote = [path for path in paths if images.is_remote(path)]
    seen = dict(zip(remote, images.remote_stamps(remote), strict=True))
    now = time.time_ns()
    for path in paths.keys() - seen.keys():
        try:
            stat = os.stat(path)  # noqa: PTH116 - a million Path objects cost seconds
        except OSError:
            seen[path] = (0, 0, 0)
        else:
            fresh = now - max(stat.st_mtime_ns, stat.st_ctime_ns) < FRESH_NS
            seen[path] = (stat.st_size, *((0, 0) if fresh else (stat.st_mtime_ns, stat.st_ctime_ns)))
    rows = [_together([seen[file] for file in files]) for files in behind]
    return pd.DataFrame(np.array(rows, dtype=np.int64).reshape(-1, len(STAMP)), columns=STAMP)


def _together(stamps: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    if len(stamps) == 1:
        return stamps[0]
    size = sum(stamp[0] for stamp in stamps)
    if not all(stamp[-1] for stamp in stamps):
        return size, 0, 0
    # 15 hexadecimal digits fit 64 bits.
    return size, 0, int(hashlib.sha256(repr(list(stamps)).encode()).hexdigest()[:15], 16)


def stamps_of(dataset: ImageSet, addresses: Sequence[str]) -> "pd.DataFrame":
    """Return `file_stamps`; where the set has pseudonyms, one for the two times, which may be the day of the image."""
    stamps = file_stamps(addresses)
    hide = dataset.pseudonyms
    if hide is None:
        return stamps
    times = zip(addresses, stamps["mtime_ns"], stamps["ctime_ns"], strict=True)
    # 15 hexadecimal digits fit 64 bits; 0 says that the times are not to be trusted.
    hidden = [int(hide(f"{address}\0{m}\0{c}")[:15], 16) if c else 0 for address, m, c in times]
    return stamps.assign(mtime_ns=0, ctime_ns=np.array(hidden, dtype=np.int64))


def remembered_digests(
    table: "pd.DataFrame", stamps: "pd.DataFrame", current: Cached | None, noted: "Sequence[pd.DataFrame]" = ()
) -> list[str | None]:
    """Return the digest of each image whose file has the path, size and times that were recorded with it.

    Args:
        table, stamps: of the images now. current: the cache file. noted: what parts of a run wrote down.
    """
    known: dict[tuple[Any, ...], str] = {}
    if current is not None:
        recorded = zip(current.table["path"], *(current.files[name] for name in STAMP), strict=True)
        known.update(zip(recorded, current.table["digest"], strict=True))
    for rows in noted:
        known.update(zip(zip(rows["path"], *(rows[name] for name in STAMP), strict=True), rows["digest"], strict=True))
    now = zip(table["path"], *(stamps[name] for name in STAMP), strict=True)
    return [known.get(stamp) if stamp[-1] else None for stamp in now]


def phases(pending: Sequence[Sequence[int]], n: int) -> dict[tuple[int, ...], list[int]]:
    """Return who needs the same rows -> these rows in their order, first the one whose rows begin first.

    Args:
        pending: the rows of each. n: how many rows there are; a list for each would be much of what a run holds.
    """
    needs = np.zeros((n, len(pending)), bool)
    for number, rows in enumerate(pending):
        needs[rows, number] = True
    some = np.flatnonzero(needs.any(1))
    ways, first, which = np.unique(needs[some], axis=0, return_index=True, return_inverse=True)
    return {
        tuple(np.flatnonzero(ways[number]).tolist()): some[which.reshape(-1) == number].tolist()
        for number in np.argsort(first)
    }


def hash_rest(digests: list[str | None], addresses: Sequence[str]) -> list[str | None]:
    """Return the digests with the missing ones computed; an image that can't be read stays without."""
    missing = [row for row, digest in enumerate(digests) if digest is None]
    full = list(digests)
    readers = ThreadPoolExecutor(_READERS)
    try:
        found = readers.map(_digest, (addresses[row] for row in missing))
        for row, digest in zip(missing, found, strict=True):
            full[row] = digest
    finally:
        # After Ctrl-C nobody waits for gigabytes to be hashed.
        readers.shutdown(cancel_futures=True)
    return full


def _digest(address: str) -> str | None:
    try:
        return images.digest(address)
    except images.ImageError:
        return None
