"""JPEG files whose decoding is left to another decoder than Pillow: those that all decoders read alike."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from embedkit.images import raster
from embedkit.images.errors import ImageError
from embedkit.images.policy import check_size
from embedkit.images.quiet import quiet

_END = b"\xff\xd9"
_RGB = [ord(letter) for letter in "RGB"]


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file that is not decoded yet: its bytes, and what errors call it."""

    data: bytes
    name: str


def is_plain(data: bytes, name: str) -> bool:
    """Say from the header whether every decoder gives the pixels that `embedkit.images.decode` gives.

    Those are files of 8-bit grey or YCbCr, upright, of an allowed size, with an end. Whatever is otherwise, or can't be
    told from, is not plain.
    """
    if not data.startswith(b"\xff\xd8\xff") or not data.rstrip(b"\0").endswith(_END):
        return False
    with quiet():
        try:
            with Image.open(BytesIO(data), formats=("JPEG",)) as image:
                check_size(image.width, image.height, name)
                parts = [part[0] for part in getattr(image, "layer", ())]
                coded_as_rgb = image.info.get("adobe_transform") == 0 or parts == _RGB
                alike = image.mode == "L" or (image.mode == "RGB" and not coded_as_rgb)
                return image.format == "JPEG" and alike and raster.orientation(image) in (0, 1)
        except (*raster.DAMAGE, Image.DecompressionBombError, ImageError):
            return False
