import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from embedkit.images import (
    DamagedImage,
    ImageError,
    NotAnImage,
    NotFinite,
    TooManyPixels,
    TruncatedImage,
    UnsupportedImage,
    decode,
)

from .making import COLOUR, RAMP, encode


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_exif_block_that_cannot_be_read_is_damage(kind):
    with pytest.raises(DamagedImage, match=r"a\.img: its EXIF block"):
        decode(encode(COLOUR, kind, exif=b"Exif\0\0garbage that is no TIFF"), "a.img")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad):
    values = np.ones((3, 3), np.float32)
    values[1, 1] = bad
    with pytest.raises(NotFinite, match=r"a\.tif: 1 of its 9"):
        decode(encode(values, "TIFF"), "a.tif")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bombs():
    huge = 20_000
    jpeg = encode(COLOUR, "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    gif = encode(RAMP, "GIF")
    bmp = encode(COLOUR, "BMP")
    tiff = encode(COLOUR, "TIFF")
    for tag, side in ((256, 31), (257, 24)):
        field = struct.pack("<HHI", tag, 4, 1)
        tiff = tiff.replace(field + struct.pack("<I", side), field + struct.pack("<I", huge))
    webp = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (16_000 - 1).to_bytes(3, "little") * 2
    webp += encode(COLOUR, "WEBP", lossless=True)[12:]
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", huge, huge, 8, 2, 0, 0, 0))
    return {
        "png": png + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""),
        "just above": png[:16] + struct.pack(">II", 13_500, 13_500) + png[24:29]
        + struct.pack(">I", zlib.crc32(b"IHDR" + struct.pack(">IIBBBBB", 13_500, 13_500, 8, 2, 0, 0, 0)))
        + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
        "pgm": b"P5 20000 20000 255\n" + bytes(100),
        "wide pgm": b"P5 20000 20000 65535\n" + bytes(100),
        "jpeg": jpeg[:at] + struct.pack(">HH", huge, huge) + jpeg[at + 4 :],
        "gif": gif[:6] + struct.pack("<HH", huge, huge) + gif[10:],
        "bmp": bmp[:18] + struct.pack("<ii", huge, huge) + bmp[26:],
        "tiff": tiff,
        "webp": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
    }  # fmt: skip


@pytest.mark.parametrize("kind", bombs())
def test_a_bomb_is_refused_by_its_header_and_without_a_warning(kind, monkeypatch):
    def decoded(_self):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as seen, pytest.raises(TooManyPixels, match=r"a\.img"):
        warnings.simplefilter("always")
        decode(bombs()[kind], "a.img")
    assert not seen
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    "data",
    [
        b"P5 0 10 255\n",
        b"P5 10 0 255\n" + bytes(10),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 7, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""),
        encode(RAMP, "BMP")[:18] + bytes(8) + encode(RAMP, "BMP")[26:],
    ],
)
def test_zero_sides_are_named(data):
    with pytest.raises(ImageError, match=r"a\.img"):
        decode(data, "a.img")


@pytest.mark.parametrize(
    "data",
    [b"age,sex\n1,f\n" * 100, b"x", b"<svg></svg>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"BMI,age\n"],
)
def test_what_is_no_image_is_said_whatever_its_name(data):
    with pytest.raises(NotAnImage, match=r"photo\.jpg: it is not an image"):
        decode(data, "photo.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PPM", "TIFF", "BMP", "GIF"])
def test_half_a_file_is_truncated(kind):
    data = encode(COLOUR if kind != "GIF" else RAMP, kind)
    cut = len(data) // 2
    with pytest.raises(TruncatedImage, match=r"a\.img: the file ends"):
        decode(data[:cut], "a.img")


def test_a_broken_header_names_the_format():
    with pytest.raises(DamagedImage, match=r"a\.img: it begins as a TIFF"):
        decode(b"II*\0\x08\0\0\0", "a.img")


def test_warnings_of_pillow_do_not_leak(capfd):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x0e\x01\x02\0\xff\0\0\0\xff\xff\0\0"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert decode(encode(COLOUR, "JPEG", exif=exif), "a").shape == (31, 24, 3)
        decode(encode(Image.fromarray(COLOUR).quantize(8), "PNG", transparency=b"\0\x80"), "a")
    assert not seen
    assert capfd.readouterr() == ("", "")


def tiff(pixels, *, kind=1, planar=1):
    """Return an uncompressed TIFF, little endian, of values (rows, columns) or (channels, rows, columns)."""
    channels, (rows, columns) = (1 if pixels.ndim == 2 else len(pixels)), pixels.shape[-2:]
    data, start = pixels.tobytes(), 8
    bits, size = 8 * pixels.itemsize, len(data) // channels
    lists = start + len(data)
    extra = struct.pack(f"<{channels}H", *[bits] * channels) + struct.pack(f"<{channels}H", *[kind] * channels)
    extra += struct.pack(f"<{channels}I", *(start + size * k for k in range(channels)))
    extra += struct.pack(f"<{channels}I", *[size] * channels)
    places = lists + np.cumsum([0, 2 * channels, 2 * channels, 4 * channels])
    one = channels == 1
    tags = [
        (256, 3, 1, columns),
        (257, 3, 1, rows),
        (258, 3, channels, bits if one else places[0]),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if one else 2),
        (273, 4, channels, start if one else places[2]),
        (277, 3, 1, channels),
        (278, 3, 1, rows),
        (279, 4, channels, size if one else places[3]),
        (284, 3, 1, planar),
        (339, 3, channels, kind if one else places[1]),
    ]
    entries = b"".join(struct.pack("<HHII", *map(int, tag)) for tag in tags)
    head = struct.pack("<2sHI", b"II", 42, lists + len(extra))
    return head + data + extra + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)


def test_tiffs_whose_pixels_would_be_others_are_refused():
    assert (decode(tiff(RAMP), "a.tif")[..., 0] == RAMP).all()
    with pytest.raises(UnsupportedImage, match=r"a\.tif: its pixels are signed values of 8 bits"):
        decode(tiff(RAMP.astype(np.int8), kind=2), "a.tif")
    apart = np.stack([RAMP, RAMP // 2, RAMP // 3]).astype(np.uint16) * 257
    with pytest.raises(UnsupportedImage, match=r"channels of 16 bits are stored one after the other"):
        decode(tiff(apart, planar=2), "a.tif")


def test_unsigned_values_of_32_bits_keep_their_order():
    values = np.array([[0, 2**31 - 1], [2**31, 2**32 - 1]], np.uint32)
    np.testing.assert_array_equal(decode(tiff(values), "a.tif")[..., 0], [[0, 127], [128, 255]])
