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
from embedkit.extraction.digests import RAW, UNKNOWN, Digests, packed

if TYPE_CHECKING:
    import pandas as pd

_READERS = 8
# So many files are looked at before their outcome is put away in numbers: what stands for it meanwhile is larger.
_AT_ONCE = 4096
STAMP = ["size", "mtime_ns", "ctime_ns"]


def check_columns(dataset: ImageSet) -> None:
    """Refuse a set with a column that bears a name that the cache needs.

    Raises:
        EmbedkitError: it has one.
    """
    if "digest" in dataset.table:
        raise EmbedkitError(f"{dataset.name} has a column 'digest', which is embedkit's own: rename it")


def canonical_table(dataset: ImageSet) -> "pd.DataFrame":
    """Return the table as a cache gives it back: text as str with NaN for gaps, numbers as 64 bit.

    Columns that are so already are shared with the set's table.

    Raises:
        EmbedkitError: see `check_columns`.
    """
    import pandas as pd

    check_columns(dataset)
    columns: dict[Any, Any] = {}
    for name, values in dataset.table.items():
        kind = values.dtype.kind
        if kind == "b" or values.dtype in (np.int64, np.float64) or all(type(value) is str for value in values):
            columns[name] = values
        elif kind in "iu":
            columns[name] = values.astype(np.int64)
        elif kind == "f":
            columns[name] = values.astype(np.float64)
        else:
            text = values.astype(object).where(values.notna(), np.nan).map(str, na_action="ignore")
            columns[name] = text.astype(object)
    return pd.DataFrame(columns, copy=False)


def file_stamps(addresses: Sequence[str]) -> "pd.DataFrame":
    """Return size and times of the file behind each address; times 0 where absent or too fresh to be trusted.

    The time of the last change of the inode tells what a copy that keeps the other time, or a swap of names, hides.
    Behind a remote address both times are a hash of the entity tag and time that its server tells. Of several files it
    is the sum of the sizes, and a hash in the place of the times.
    """
    import pandas as pd

    found = np.empty((len(addresses), len(STAMP)), np.int64)
    for start in range(0, len(addresses), _AT_ONCE):
        found[start : start + _AT_ONCE] = _stamps(addresses[start : start + _AT_ONCE])
    return pd.DataFrame(found, columns=STAMP)


def _stamps(addresses: Sequence[str]) -> list[tuple[int, int, int]]:
    behind = [images.files_of(address) for address in addresses]
    paths = dict.fromkeys(file for files in behind for file in files)
    remote = [path for path in paths if images.is_remote(path)]
    seen = dict(zip(remote, images.remote_stamps(remote, FRESH_NS), strict=True))
    now = time.time_ns()
    for path in paths.keys() - seen.keys():
        try:
            stat = os.stat(path)  # noqa: PTH116 - a million Path objects cost seconds
        except OSError:
            seen[path] = (0, 0, 0)
        else:
            fresh = now - max(stat.st_mtime_ns, stat.st_ctime_ns) < FRESH_NS
            seen[path] = (stat.st_size, *((0, 0) if fresh else (stat.st_mtime_ns, stat.st_ctime_ns)))
    return [_together([seen[file] for file in files]) for files in behind]


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
    paths: np.ndarray, stamps: "pd.DataFrame", current: Cached | None, noted: "Sequence[pd.DataFrame]" = ()
) -> Digests:
    """Return the digest of each image whose file has the path, size and times that were recorded with it.

    That of another image is UNKNOWN.

    Args:
        paths: of the table. stamps: of the images now. current: the cache file. noted: what parts of a run wrote down.
    """
    import pandas as pd

    found, now = np.zeros(len(paths), RAW), stamps[STAMP].to_numpy()
    known = [] if current is None else [(current.table, current.files)]
    for rows, files in [*known, *((rows, rows) for rows in noted)]:
        # Of a path that was recorded twice, the last.
        last = np.flatnonzero(~rows["path"].duplicated(keep="last"))
        place = pd.Index(rows["path"].to_numpy()[last]).get_indexer(paths)
        mine = np.flatnonzero((place >= 0) & (now[:, -1] != 0))
        then = last[place[mine]]
        same = (files[STAMP].to_numpy()[then] == now[mine]).all(axis=1)
        found[mine[same]] = packed(rows["digest"].to_numpy()[then[same]])
    return found


def phases(pending: Sequence[np.ndarray], n: int) -> dict[tuple[int, ...], np.ndarray]:
    """Return who needs the same rows -> these rows in their order, first the one whose rows begin first.

    Args:
        pending: the rows of each. n: how many rows there are.
    """
    needs = np.zeros((n, len(pending)), bool)
    for number, rows in enumerate(pending):
        needs[rows, number] = True
    some = np.flatnonzero(needs.any(1)).astype(np.int32)
    ways, first, which = np.unique(needs[some], axis=0, return_index=True, return_inverse=True)
    return {
        tuple(np.flatnonzero(ways[number]).tolist()): some[which.reshape(-1) == number] for number in np.argsort(first)
    }


def hash_rest(digests: Digests, addresses: Sequence[str]) -> Digests:
    """Return the digests with the missing ones computed; that of an image that can't be read stays UNKNOWN."""
    missing = np.flatnonzero(digests == UNKNOWN)
    full = digests.copy()
    readers = ThreadPoolExecutor(_READERS)
    try:
        for start in range(0, len(missing), _AT_ONCE):
            rows = missing[start : start + _AT_ONCE]
            full[rows] = packed(readers.map(_digest, [addresses[row] for row in rows]))
    finally:
        # After Ctrl-C nobody waits for gigabytes to be hashed.
        readers.shutdown(cancel_futures=True)
    return full


def _digest(address: str) -> str | None:
    try:
        return images.digest(address)
    except images.ImageError:
        return None
