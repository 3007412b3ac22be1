"""An address: where an image is, as one string."""

import re
from typing import NamedTuple

# 18 digits fit an int64, and Python refuses to parse numbers of thousands of digits.
_FRAGMENT = re.compile(
    r"#(?:frame=(?P<frame>\d{1,18})|bytes=(?P<start>\d{1,18})\+(?P<size>\d{1,18})|(?P<array>\w+)\[(?P<row>\d{1,18})\])\Z"
)


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
