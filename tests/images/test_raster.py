import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from embedkit.images import (
    NoSuchPart,
    SeveralFrames,
    decode,
)

from .making import COLOUR, RAMP, WIDE, encode, gray_rgb, min_max


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF", "BMP"])
@pytest.mark.parametrize("pixels", [RAMP, COLOUR], ids=["gray", "colour"])
def test_lossless_8_bit_comes_back_as_it_is(kind, pixels):
    expected = pixels if pixels.ndim == 3 else gray_rgb(pixels)
    shown = decode(encode(pixels, kind), "a.jpg")
    np.testing.assert_array_equal(shown, expected)
    assert shown.dtype == np.uint8
    assert shown.flags.c_contiguous
    assert shown.flags.writeable


def test_lossless_webp_and_gif():
    np.testing.assert_array_equal(decode(encode(COLOUR, "WEBP", lossless=True), "a"), COLOUR)
    np.testing.assert_array_equal(decode(encode(RAMP, "GIF"), "a"), gray_rgb(RAMP))


def test_8_bit_of_low_contrast_is_not_stretched():
    np.testing.assert_array_equal(decode(encode(RAMP // 8 + 100, "PNG"), "a"), gray_rgb(RAMP // 8 + 100))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "optimize": True}])
def test_jpeg_is_what_pillow_decodes(options):
    data = encode(COLOUR, "JPEG", **options)
    np.testing.assert_array_equal(decode(data, "a"), np.asarray(Image.open(BytesIO(data))))


def test_gray_jpeg():
    data = encode(RAMP, "JPEG")
    np.testing.assert_array_equal(decode(data, "a"), gray_rgb(np.asarray(Image.open(BytesIO(data)))))


@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((100, 0, 50, 100), (94, 155, 125)),  # (255 - ink)(255 - black) / 255
    ],
)
def test_cmyk_jpeg_of_adobe_stores_its_inks_inverted(ink, colour):
    data = encode(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)
    assert b"Adobe" in data
    assert np.abs(decode(data, "a").astype(int) - colour).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(COLOUR, kind, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))
    np.testing.assert_array_equal(decode(data, "a"), upright)
    assert upright.shape[:2] == ((31, 24) if orientation > 4 else (24, 31))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_means_nothing_turns_nothing(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    np.testing.assert_array_equal(decode(encode(COLOUR, "PNG", exif=exif), "a"), COLOUR)


def test_an_empty_exif_block_is_none():
    data = encode(COLOUR, "JPEG", exif=b"Exif\0\0")
    np.testing.assert_array_equal(decode(data, "a"), np.asarray(Image.open(BytesIO(data))))


def test_alpha_is_composited_over_black():
    alpha = np.full((1, 4, 1), [[0], [51], [128], [255]], np.uint8)
    pixels = np.concatenate([np.full((1, 4, 3), 200, np.uint8), alpha], axis=2)
    expected = np.floor(200 * (alpha / 255) + 0.5).repeat(3, axis=2)
    np.testing.assert_array_equal(decode(encode(pixels, "PNG"), "a"), expected)
    gray = Image.fromarray(pixels).convert("LA")
    np.testing.assert_array_equal(decode(encode(gray, "PNG"), "a"), expected)


def test_palettes_and_their_transparency():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    opaque = [[[255, 0, 0], [0, 255, 0]], [[10, 20, 30], [0, 255, 0]]]
    assert decode(encode(image, "PNG"), "a").tolist() == opaque
    opaque[0][1] = opaque[1][1] = [0, 0, 0]
    assert decode(encode(image, "PNG", transparency=1), "a").tolist() == opaque
    assert decode(encode(image, "GIF", transparency=1), "a").tolist() == opaque


def test_a_transparent_colour_is_black():
    pixels = np.array([[[9, 9, 9], [1, 2, 3]]], np.uint8)
    assert decode(encode(pixels, "PNG", transparency=(9, 9, 9)), "a").tolist() == [[[0, 0, 0], [1, 2, 3]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(kind):
    bits = RAMP > 90
    np.testing.assert_array_equal(decode(encode(bits, kind), "a"), gray_rgb(bits * 255))


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_16_bit_gray_goes_through_the_window(kind):
    np.testing.assert_array_equal(decode(encode(WIDE + 1000, kind), "a"), min_max(WIDE))


def test_constant_16_bit_is_black():
    assert not decode(encode(np.full((4, 4), 40000, np.uint16), "PNG"), "a").any()


def test_16_bit_transparent_level_is_black_and_no_minimum():
    values = np.array([[100, 300, 500, 60000]], np.uint16)
    assert decode(encode(values, "PNG", transparency=60000), "a")[0, :, 0].tolist() == [0, 128, 255, 0]


def test_16_bit_colour_keeps_the_high_byte():
    rows = b"".join(b"\0" + bytes(range(10 * y, 10 * y + 12)) for y in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    assert decode(data, "a").tolist() == [[[0, 2, 4], [6, 8, 10]], [[10, 12, 14], [16, 18, 20]]]


def test_a_wide_tiff_whose_zero_is_white_is_inverted():
    data = encode(WIDE, "TIFF", tiffinfo={262: 0})
    if Image.open(BytesIO(data)).tag_v2[262] != 0:
        data = data.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 262, 3, 1, 0))
    assert Image.open(BytesIO(data)).tag_v2[262] == 0
    np.testing.assert_array_equal(decode(data, "a"), 255 - min_max(WIDE))


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_float_goes_through_the_window(kind):
    values = np.linspace(-3, 7, 24, dtype=np.float32).reshape(4, 6)
    expected = np.floor(255 * (values.astype(float) - values.min()) / (values.max() - values.min()) + 0.5)
    np.testing.assert_array_equal(decode(encode(values, kind), "a"), gray_rgb(expected))


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_one_of_several_frames_is_named(kind):
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (10, 120, 250)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with pytest.raises(SeveralFrames, match=r"a\.tif: it holds 3 frames.*a\.tif#frame=0"):
        decode(data, "a.tif")
    for index, level in enumerate((10, 120, 250)):
        assert np.unique(decode(data, "a.tif", index)).tolist() == [level]
    with pytest.raises(NoSuchPart, match="no frame 3"):
        decode(data, "a.tif", 3)


def test_previews_in_a_camera_jpeg_are_no_frames():
    image = Image.fromarray(COLOUR)
    data = encode(image, "MPO", save_all=True, append_images=[image.resize((8, 8))])
    assert Image.open(BytesIO(data)).n_frames == 2
    assert decode(data, "a").shape == COLOUR.shape


def test_real_jpegs_are_what_pillow_decodes(data_root):
    for folder in ("ham10000/HAM10000_images_part_1", "isic2018/ISIC2018_Task3_Test_Input", "chest_xray/test/NORMAL"):
        for path in sorted((data_root / folder).glob("*.jp*g"))[:10]:
            data = path.read_bytes()
            np.testing.assert_array_equal(decode(data, "a"), np.asarray(Image.open(BytesIO(data)).convert("RGB")))


def test_real_mammograms_are_8_bit_and_unscaled(data_root):
    for path in sorted((data_root / "mini-mias").glob("*.png"))[:10]:
        image = Image.open(path)
        assert image.mode == "L"
        np.testing.assert_array_equal(decode(path.read_bytes(), "a"), gray_rgb(np.asarray(image)))
