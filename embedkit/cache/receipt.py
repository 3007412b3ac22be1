"""The receipt beside a cache file: of which images it was complete, so that a next run need not open the set.

A receipt may be absent or worthless at any time: then the next run looks at everything again.
"""

import json
from contextlib import suppress
from pathlib import Path

from embedkit.cache.sealed import check_sealed, read_seal
from embedkit.cache.whole import whole_file


def receipt(path: Path) -> Path:
    """Return where the receipt of a cache file is."""
    return path.with_name(f".{path.name}.receipt")


def remember(path: Path, footprint: str, images: int) -> None:
    """Write that a cache file has the vectors of all images of the set that had this footprint.

    In a folder that can't be written nothing is kept.
    """
    with suppress(OSError), whole_file(receipt(path)) as temporary:
        temporary.write_text(json.dumps([footprint, images, read_seal(path).whole]))


def recall(path: Path, footprint: str) -> int | None:
    """Return the number of images of the set if a cache file is the one that had all of them, else None.

    Raises:
        ForeignCache, DamagedCache: see `check_sealed`.
    """
    try:
        seen, images, whole = json.loads(receipt(path).read_bytes())
    except (OSError, ValueError, TypeError):
        return None
    known = path.exists() and seen == footprint and whole == check_sealed(path).whole
    return int(images) if known else None
