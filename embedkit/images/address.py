"""An address: where an image is, as one string."""

import json
import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

from embedkit.images.remote import is_remote

# 18 digits fit an int64, and Python refuses to parse numbers of thousands of digits.
_FRAGMENT = re.compile(
    r"#(?:frame=(?P<frame>\d{1,18})|bytes=(?P<start>\d{1,18})\+(?P<size>\d{1,18})|(?P<array>\w+)\[(?P<row>\d{1,18})\])\Z"
)
_CHANNELS = re.compile(r"#channels=(?P<files>\{.*\})\Z", re.DOTALL)


class Address(NamedTuple):
    """The parts of an address: a path, and a frame, a row of an array or column, or a stretch of bytes if one is named.

    `stretch` is the first byte and how many.
    """

    path: str
    frame: int | None = None
    array: str | None = None
    row: int = 0
    stretch: tuple[int, int] | None = None

    @property
    def whole(self) -> bool:
        """Whether the address names the whole file."""
        return self.frame is None and self.array is None and self.stretch is None


def split_address(address: str) -> Address:
    """Split an address into its path and the part it names.

    ``scan.dcm#frame=3`` names the fourth frame, ``x.npz#train_images[17]`` the eighteenth row of an array,
    ``x.parquet#image[17]`` that of a column, ``x.tar#bytes=1536+20480`` a file of 20,480 bytes inside the archive.
    Any other ``#`` belongs to the file's name.
    """
    match = _FRAGMENT.search(address)
    if match is None:
        return Address(address)
    path = address[: match.start()]
    if match["frame"] is not None:
        return Address(path, frame=int(match["frame"]))
    if match["start"] is not None:
        return Address(path, stretch=(int(match["start"]), int(match["size"])))
    return Address(path, array=match["array"], row=int(match["row"]))


def join_channels(files: Mapping[str, str]) -> str:
    """Return the address of an image whose channels are files, relative to the folder that is put before it.

    Args:
        files: name of the channel -> the address of its file, empty where there is none; in the order of the channels.
    """
    return f"#channels={json.dumps(dict(files), ensure_ascii=False)}"


def split_channels(address: str) -> dict[str, str]:
    """Return the addresses of the channels of an image by their names, in order; of an image in one file none.

    ``scans/#channels={"nc": "a.png", "art": "b.dcm#frame=3"}`` are ``scans/a.png`` and a frame of ``scans/b.dcm``. A
    channel without a file has an empty address.
    """
    match = _CHANNELS.search(address)
    try:
        files = json.loads(match["files"]) if match else {}
    except ValueError:
        return {}
    if match is None or not all(isinstance(file, str) for file in files.values()):
        return {}
    folder = address[: match.start()]
    return {
        name: posixpath.join(folder, file) if file and not is_remote(file) else file for name, file in files.items()
    }


def files_of(address: str) -> list[str]:
    """Return the paths of the files that an image is read from: one, or one for each channel that has a file."""
    parts = split_channels(address) or {"": address}
    return [split_address(part).path for part in parts.values() if part]
