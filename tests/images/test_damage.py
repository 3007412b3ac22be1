"""Whatever is done to a file, an `ImageError` that names it is all that escapes."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from embedkit.images import ImageError, decode, policy

from .making import COLOUR, RAMP, WIDE, dicom, encode, lut


def exif():
    block = Image.Exif()
    block[274], block[270] = 6, "scan"
    return block


def files():
    """Return one small file of each kind; the order is that of the tests' names."""
    pages = [Image.fromarray(RAMP[:8, :8]), Image.fromarray(RAMP[8:16, :8])]
    seeds = {
        "jpeg": encode(COLOUR, "JPEG", exif=exif()),
        "progressive": encode(RAMP, "JPEG", progressive=True),
        "png": encode(COLOUR, "PNG", exif=exif()),
        "wide png": encode(WIDE, "PNG"),
        "palette": encode(Image.fromarray(COLOUR).quantize(16), "PNG", transparency=3),
        "tiff": encode(COLOUR, "TIFF", exif=exif()),
        "lzw": encode(RAMP, "TIFF", compression="tiff_lzw"),
        "float": encode(WIDE[:8, :8].astype(np.float32), "TIFF"),
        "pages": encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "pgm": encode(RAMP, "PPM"),
        "wide pgm": encode(WIDE, "PPM"),
        "bmp": encode(RAMP, "BMP"),
        "gif": encode(pages[0], "GIF", save_all=True, append_images=pages[1:]),
        "webp": encode(COLOUR, "WEBP"),
    }
    try:
        windowed = dicom(WIDE, WindowCenter="900", WindowWidth="800", PixelPaddingValue=("US", 7), RescaleSlope="2")
        tables = dicom(RAMP, VOILUTSequence=[lut(0, 16, [9, 99, 999])], ModalityLUTSequence=[lut(0, 8, [1, 2, 3])])
    except ImportError:
        return seeds
    colour = dicom(COLOUR[:5, :5], "YBR_FULL")
    return seeds | {"dicom": windowed, "lut": tables, "ybr": colour, "headless": windowed[132:]}


FILES = files()


@pytest.fixture(scope="module", autouse=True)
def small_limit():
    """Keep a header that lies within the limit from costing a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "MAX_PIXELS", 200_000)
        yield


def attempt(data, frame=None):
    """Return the pixels, or None where the file was refused as it should be."""
    try:
        pixels = decode(data, "NAME", frame)
    except ImageError as error:
        assert "NAME" in str(error)
        return None
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    return pixels


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_anywhere_is_refused_or_whole(kind):
    data = FILES[kind]
    whole = decode(data, "NAME", 0)
    step = max(1, len(data) // 300)
    for cut in {*range(0, len(data), step), *range(max(0, len(data) - 40), len(data))}:
        pixels = attempt(data[:cut], 0)
        assert pixels is None or np.array_equal(pixels, whole)


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=60, deadline=None)
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    early=st.booleans(),
    drop=st.integers(0, 12),
    frame=st.sampled_from([None, 0]),
)
@example(flips=[(0.0, 0)], early=False, drop=0, frame=None)
def test_a_file_with_wrong_bytes_is_refused_or_read(kind, flips, early, drop, frame):
    data = bytearray(FILES[kind])
    reach = min(len(data), 400) if early else len(data)
    for place, value in flips:
        data[int(place * reach)] = value
    at = int(flips[0][0] * reach)
    del data[at : at + drop]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attempt(bytes(data), frame)


BEGINNINGS = [
    *(b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"P5 3 3 255\n", b"BM", b"GIF89a", b"PK\3\4"),
    *(b"\x08\0\x05\0CS", bytes(128) + b"DICM", b"\x02\0\x10\0UI", b"RIFF\x99\0\0\0WEBPVP8X"),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=300))
def test_beginnings_with_noise_behind_are_refused_or_read(beginning, noise):
    attempt(beginning + noise)
