"""Files as nobody wants them, written by the tests themselves, with what must become of each."""

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from tests.images.making import COLOUR, RAMP, WIDE, dicom, encode

EMBEDDED = ""
"""Odd, but an image."""

Expected = dict[str, str]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, bits: int, colour: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    ends = (_chunk(b"IDAT", zlib.compress(pixels, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join((_chunk(b"IHDR", header), *chunks, *ends))


def _frames(kind: str) -> bytes:
    pages = [Image.fromarray(RAMP + np.uint8(number)) for number in range(3)]
    return encode(pages[0], kind, save_all=True, append_images=pages[1:])


def _looping_tiff() -> bytes:
    data = bytearray(encode(RAMP, "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    return bytes(data)


def _text_bomb() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "A" * (1 << 26), zip=True)
    return encode(COLOUR, "PNG", pnginfo=info)


def _profile_bomb() -> bytes:
    return _png(8, 8, 8, 0, _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 26))), pixels=bytes(72))


def _bad_float() -> bytes:
    values = np.ones((5, 5), np.float32)
    values[2, 2] = np.nan
    return encode(values, "TIFF")


def _jpeg_of(width: int, height: int) -> bytes:
    data = encode(COLOUR, "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _raster() -> dict[str, tuple[bytes, str]]:
    jpeg, png, gray = encode(COLOUR, "JPEG"), encode(COLOUR, "PNG"), Image.fromarray(RAMP)
    return {
        "empty.png": (b"", "empty"),
        "one byte.jpg": (b"\xff", "not an image"),
        "text.jpg": (b"patient,age\n1,44\n" * 9, "not an image"),
        "page.png": (b"<!DOCTYPE html><html>404</html>", "not an image"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\n", "not an image"),
        "zeros.bmp": (bytes(5000), "not an image"),
        "archive.png": (b"PK\3\4" + bytes(60), "unsupported"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "cut.png": (png[: len(png) // 2], "truncated"),
        "cut.bmp": (encode(COLOUR, "BMP")[:300], "truncated"),
        "cut.webp": (encode(COLOUR, "WEBP")[:60], "damaged"),
        "header only.jpg": (jpeg[:20], "damaged"),
        "wrong sum.png": (png[:40] + bytes([png[40] ^ 1]) + png[41:], "damaged"),
        "zero wide.png": (_png(0, 9, 8, 2), "damaged"),
        "odd depth.png": (_png(9, 9, 3, 0, pixels=bytes(99)), "damaged"),
        "huge.png": (_png(2**31 - 1, 2**31 - 1, 8, 2), "too many pixels"),
        "bomb.png": (_png(30_000, 30_000, 1, 0, pixels=bytes(30_000 * 3751)), "too many pixels"),
        "huge.jpg": (_jpeg_of(65_000, 65_000), "too many pixels"),
        "huge.gif": (encode(gray, "GIF")[:6] + b"\xff\xff\xff\xff" + encode(gray, "GIF")[10:], "too many pixels"),
        "huge.pgm": (b"P5 99999 99999 255\n", "too many pixels"),
        "text bomb.png": (_text_bomb(), "damaged"),
        "profile bomb.png": (_profile_bomb(), "damaged"),
        "bad exif.jpg": (encode(COLOUR, "JPEG", exif=b"Exif\0\0garbage"), "damaged"),
        "nan.tif": (_bad_float(), "not finite"),
        "animated.png": (_frames("PNG"), "several frames"),
        "looping.tif": (_looping_tiff(), EMBEDDED),
        "animated.gif": (_frames("GIF"), EMBEDDED),
        "one bit.png": (encode(gray.convert("1"), "PNG"), EMBEDDED),
        "two bits.png": (encode(gray.quantize(4), "PNG", bits=2), EMBEDDED),
        "wide.png": (encode(WIDE, "PNG"), EMBEDDED),
        "float.tif": (encode(WIDE.astype(np.float32), "TIFF"), EMBEDDED),
        "cmyk.jpg": (encode(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"), EMBEDDED),
        "lab.tif": (encode(Image.fromarray(COLOUR).convert("LAB"), "TIFF"), EMBEDDED),
        "glass.png": (encode(Image.fromarray(COLOUR).convert("RGBA"), "PNG"), EMBEDDED),
        "one pixel.png": (encode(COLOUR[:1, :1], "PNG"), EMBEDDED),
        "thread.png": (_png(1, 40_000, 8, 0, pixels=bytes(80_000)), EMBEDDED),
        "jpeg named.png": (jpeg, EMBEDDED),
        "trailing.jpg": (jpeg + b"<?php system('id') ?>" * 99, EMBEDDED),
        "new\nline.png": (png, EMBEDDED),
        "-rf *;$(id).png": (png, EMBEDDED),
        "\N{HEBREW LETTER ALEF}\N{CJK UNIFIED IDEOGRAPH-75C5}\N{SLEEPING SYMBOL}.png": (png, EMBEDDED),
        "a#frame=1": (b"no suffix, no image", "skipped"),
        "x" * 251 + ".png": (png, EMBEDDED),
    }


def _dicom() -> dict[str, tuple[bytes, str]]:
    whole = dicom(RAMP)
    return {
        "whole.dcm": (whole, EMBEDDED),
        "cut.dcm": (whole[:-200], "truncated"),
        "cut header.dcm": (whole[:200], "truncated"),
        "preamble.dcm": (bytes(128) + b"DICM", "not an image"),
        "noise.dcm": (bytes(128) + b"DICM" + bytes(range(256)) * 4, "not an image"),
        "no pixels.dcm": (dicom(RAMP, PixelData=("OB", b"")), "truncated"),
        "many frames.dcm": (dicom(RAMP, NumberOfFrames="2147483647"), "damaged"),
        "huge.dcm": (dicom(RAMP, Rows=65_535, Columns=65_535), "too many pixels"),
        "no rows.dcm": (dicom(RAMP, Rows=0), "damaged"),
        "odd colours.dcm": (dicom(RAMP, PhotometricInterpretation="MAGIC"), "damaged"),
    }


def _loop(folder: Path) -> None:
    (folder / "one.png").symlink_to("two.png")
    (folder / "two.png").symlink_to("one.png")
    (folder / "up").symlink_to("..")
    (folder / "dead.png").symlink_to("nowhere.png")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "folder.png": lambda path: path.mkdir(),
    "pipe.png": os.mkfifo,
    "device.png": lambda path: path.symlink_to("/dev/zero"),
}


def write(folder: Path) -> Expected:
    """Write them all into a folder; return name -> reason, `EMBEDDED` where it is an image, "skipped" for no row."""
    folder.mkdir(parents=True)
    kinds = {**_raster(), **_dicom()}
    for name, (content, _) in kinds.items():
        (folder / name).write_bytes(content)
    for name, make in SPECIAL.items():
        make(folder / name)
    _loop(folder)
    links = {"one.png": "unreadable", "two.png": "unreadable", "dead.png": "missing"}
    return {name: reason for name, (_, reason) in kinds.items()} | links | dict.fromkeys(SPECIAL, "skipped")


def npz_that_lies(rows: int) -> bytes:
    """Return an npz whose header says ``rows`` images and that holds one."""
    import zipfile

    stream, header = BytesIO(), BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (rows, 8, 8)})
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(64))
    return stream.getvalue()
