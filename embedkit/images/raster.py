"""The formats that Pillow decodes: JPEG, PNG, PGM and PPM, TIFF, BMP, GIF, WebP."""

import struct
from contextlib import nullcontext
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from embedkit.images.errors import (
    DamagedImage,
    ImageError,
    TooManyPixels,
    TruncatedImage,
    UnsupportedImage,
    not_an_image,
    reason_of,
)
from embedkit.images.policy import check_size, choose_frame
from embedkit.images.quiet import quiet, quiet_library
from embedkit.images.window import Pixels, min_max, require_finite

# Nothing else of Pillow's thirty formats: one of them runs Ghostscript on the file.
_FORMATS = ("JPEG", "PNG", "PPM", "TIFF", "BMP", "GIF", "WEBP")

# MPO is the JPEG of cameras.
_JPEGS = ("JPEG", "MPO")

_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
}

# What Pillow raises on damaged files, besides its own two: collected by fuzzing.
DAMAGE = (OSError, SyntaxError, ValueError, struct.error, EOFError, LookupError, TypeError, OverflowError)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _KIND = 258, 259, 262, 284, 339


def decode(data: bytes, name: str, frame: int | None = None, least: int | None = None) -> Pixels:
    """Return the pixels of an image file, (H, W, 3) RGB.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        frame: which of several frames, 0-based.
        least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if its shorter side keeps so many pixels.

    Raises:
        NotAnImage: the bytes begin none of the formats.
        ImageError: the subclass for what is wrong.
    """
    with quiet():
        try:
            with Image.open(BytesIO(data), formats=_FORMATS) as image:
                check_size(image.width, image.height, name)
                chosen = choose_frame(frame, _frames(image), name)
                if chosen:
                    image.seek(chosen)
                    check_size(image.width, image.height, name)
                if least is not None and image.format in _JPEGS:
                    image.draft(None, (least, least))
                _refuse_misread(image, name)
                with quiet_library() if image.format == "TIFF" else nullcontext():
                    image.load()
                return _to_rgb(_upright(image, name), name)
        except UnidentifiedImageError as error:
            raise _unknown(data, name) from error
        except Image.DecompressionBombError as error:
            raise TooManyPixels(f"{name}: {reason_of(error)} Scale it down or cut it into tiles first.") from error
        except DAMAGE as error:
            raise _damage(error, name) from error


def drafted(data: bytes, least: int | None) -> tuple[int, int] | None:
    """Return the width and height that `decode` gives a JPEG, before it is turned upright, from its header.

    Args:
        data, least: as in `decode`.

    Returns:
        None of another image, or where the header doesn't tell.
    """
    with quiet():
        try:
            with Image.open(BytesIO(data), formats=_JPEGS[:1]) as image:
                if least is not None:
                    image.draft(None, (least, least))
                return image.size
        except (*DAMAGE, Image.DecompressionBombError):
            return None


def frame_count(stream: BinaryIO) -> int | None:
    """Return how many frames an image file holds, from its headers; None where Pillow cannot tell."""
    with quiet():
        try:
            with Image.open(stream, formats=_FORMATS) as image:
                return _frames(image)
        except (*DAMAGE, Image.DecompressionBombError):
            return None


def _frames(image: Image.Image) -> int:
    # The further images in a camera's JPEG (MPO) are previews of the first.
    return 1 if image.format in _JPEGS else int(getattr(image, "n_frames", 1))


def _refuse_misread(image: Image.Image, name: str) -> None:
    """Refuse the variants of TIFF whose pixels Pillow reads as others.

    Raises:
        UnsupportedImage: signed values of 8 bits; channels of more than 8 bits that are stored one after the other.
    """
    tags: Any = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    if tags.get(_KIND, (1,))[0] == 2 and bits <= 8:
        raise UnsupportedImage(f"{name}: its pixels are signed values of {bits} bits. Save it with unsigned ones.")
    if tags.get(_PLANAR) == 2 and bits > 8 and tags.get(_COMPRESSION, 1) == 1 and len(tags.get(_BITS, ())) > 1:
        raise UnsupportedImage(
            f"{name}: its channels of {bits} bits are stored one after the other. Save it with interleaved channels."
        )


def _upright(image: Image.Image, name: str) -> Image.Image:
    try:
        turn = _UPRIGHT.get(orientation(image))
    except DAMAGE as error:
        raise DamagedImage(
            f"{name}: its EXIF block cannot be read ({reason_of(error)}), so which way is up is unknown. "
            "Save the image again, or remove its metadata (exiftool -all= FILE)."
        ) from error
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Return what EXIF says of which way is up, 1 where it says nothing; raises one of `DAMAGE` where it is broken."""
    tag = ExifTags.Base.Orientation
    if "exif" in image.info:
        # Parsed anew: opening a JPEG parses it too, and hides that it failed.
        exif = Image.Exif()
        exif.load(image.info["exif"])
        if tag in exif:
            return int(exif[tag])
    return int(image.getexif().get(tag, 1))


def _to_rgb(image: Image.Image, name: str) -> Pixels:
    if image.mode == "F" or image.mode.startswith("I"):
        return _wide_to_rgb(image, name)
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        image = Image.new("RGB", image.size)
        image.paste(colour, mask=colour.getchannel("A"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _wide_to_rgb(image: Image.Image, name: str) -> Pixels:
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if tags.get(_BITS) == (32,) and values.dtype == np.int32 and tags.get(_KIND, (1,))[0] == 1:
        # Pillow has no mode for them.
        values = values.view(np.uint32)
    require_finite(values, name)
    transparent = image.info.get("transparency")
    gray = min_max(values, None if transparent is None else values == transparent)
    # Pillow inverts a TIFF whose zero is white up to 8 bits only.
    if tags.get(_PHOTOMETRIC) == 0:
        gray = 255 - gray
    return np.repeat(gray[:, :, None], 3, axis=2)


def _unknown(data: bytes, name: str) -> ImageError:
    for beginning, kind in _BEGINNINGS.items():
        if data.startswith(beginning):
            return DamagedImage(
                f"{name}: it begins as a {kind}, but its header is cut short, damaged, or of a variant that "
                "cannot be read. Copy it again; if another program opens it, save it as PNG."
            )
    return not_an_image(name)


def _damage(error: Exception, name: str) -> ImageError:
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return TruncatedImage(f"{name}: the file ends before its pixels do ({reason_of(error)}). Copy it again.")
    return DamagedImage(f"{name}: its pixels cannot be decoded ({reason_of(error)}). Copy it again, or save it as PNG.")
