"""The note beside a cache file that its structure was checked: so a slice of a large file needs not check it again.

It holds for the very file that was checked, told by inode, size and times. It may be absent or worthless at any time.
"""

import json
import os
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from embedkit.cache.whole import whole_file


def checked_note(path: Path) -> Path:
    """Return where the note of a cache file is."""
    return path.with_name(f".{path.name}.checked")


def was_checked(path: Path, file: BufferedReader, outside: str) -> bool:
    """Say whether the structure of this open file was found to have this checksum."""
    try:
        noted = json.loads(checked_note(path).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(noted == [*_stamp(file), outside])


def note_checked(path: Path, file: BufferedReader, outside: str) -> None:
    """Write that it was. In a folder that can't be written nothing is kept."""
    with suppress(OSError), whole_file(checked_note(path)) as temporary:
        temporary.write_text(json.dumps([*_stamp(file), outside]))


def _stamp(file: BufferedReader) -> tuple[int, int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
