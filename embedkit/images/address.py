"""An address: where an image is, as one string."""

import re
from typing import NamedTuple

# 18 digits fit an int64, and Python refuses to parse numbers of thousands of digits.
_FRAGMENT = re.compile(r"#(?:frame=(?P<frame>\d{1,18})|(?P<array>\w+)\[(?P<row>\d{1,18})\])\Z")


class Address(NamedTuple):
    """The parts of an address: a path, and a frame or a row of an array where one is named."""

    path: str
    frame: int | None = None
    array: str | None = None
    row: int = 0

    @property
    def whole(self) -> bool:
        """Whether the address names the whole file."""
        return self.frame is None and self.array is None


def split_address(address: str) -> Address:
    """Split an address into its path and the part it names.

    ``scan.dcm#frame=3`` names the fourth frame, ``x.npz#train_images[17]`` the eighteenth row of an array.
    Any other ``#`` belongs to the file's name.
    """
    match = _FRAGMENT.search(address)
    if match is None:
        return Address(address)
    path = address[: match.start()]
    if match["frame"] is not None:
        return Address(path, frame=int(match["frame"]))
    return Address(path, array=match["array"], row=int(match["row"]))
