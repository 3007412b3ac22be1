import struct
import sys
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest

from embedkit.images import (
    DamagedImage,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedImage,
    coding,
    decode,
    frame_count,
    load,
)
from embedkit.images import dicom as module

from .making import COLOUR, RAMP, WIDE, dicom, min_max, saved

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import get_decoder  # noqa: E402


def bundled(name):
    path = get_testdata_file(name, download=False)
    return path or pytest.skip(f"pydicom has no {name}")


def shown(name):
    return load(bundled(name))[0]


def test_a_missing_jpeg2000_codec_names_the_extra(monkeypatch):
    name = bundled("MR_small_jp2klossless.dcm")
    monkeypatch.setattr(get_decoder(pydicom.uid.JPEG2000Lossless), "_available", {})
    with pytest.raises(UnsupportedImage, match=r'pip install "embedkit\[dicom\]"'):
        load(name)


def test_without_pydicom_dicom_is_unsupported_and_text_is_still_no_image(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for data in (dicom_bytes := MONO, dicom_bytes[132:]):
        with pytest.raises(
            UnsupportedImage, match=r'a\.dcm: reading DICOM needs pydicom.*pip install "embedkit\[dicom\]"'
        ):
            decode(data, "a.dcm")
    with pytest.raises(NotAnImage):
        decode(b"text", "a.dcm")
    (tmp_path / "a.dcm").write_bytes(MONO)
    assert frame_count(str(tmp_path / "a.dcm")) == 1


def test_a_coding_that_pydicom_does_not_know():
    dataset = pydicom.dcmread(BytesIO(MONO))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG4HP41
    dataset.PixelData = encapsulate([bytes(10)])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnsupportedImage, match="MPEG-4"):
        decode(saved(dataset), "a")


MONO = dicom(WIDE)


@pytest.mark.parametrize("cut", [132, 0], ids=["meta", "nothing"])
def test_files_without_a_preamble(cut):
    data = MONO[132:]
    if cut == 0:
        at = MONO.index(b"\x08\0\x16\0UI")
        data = MONO[at:]
    np.testing.assert_array_equal(decode(data, "a"), min_max(WIDE))


def test_a_data_set_alone_in_every_byte_order():
    for implicit, little in ((True, True), (False, True), (False, False)):
        dataset = pydicom.dcmread(BytesIO(MONO))
        plain = pydicom.Dataset({element.tag: element for element in dataset})
        plain["PixelData"].value = (WIDE if little else WIDE.byteswap()).tobytes()
        stream = BytesIO()
        plain.save_as(stream, implicit_vr=implicit, little_endian=little)
        np.testing.assert_array_equal(decode(stream.getvalue(), "a"), min_max(WIDE))


def test_a_bomb_is_refused_before_pixels_are_decoded(monkeypatch):
    monkeypatch.setattr(module, "_stored_values", lambda *_: pytest.fail("decoded"))
    dataset = pydicom.dcmread(BytesIO(MONO))
    dataset.Rows = dataset.Columns = 60_000
    with pytest.raises(TooManyPixels, match=r"a\.dcm: its header says 60000 x 60000"):
        decode(saved(dataset), "a.dcm")
    dataset.Rows = 0
    with pytest.raises(DamagedImage, match="60000 x 0"):
        decode(saved(dataset), "a.dcm")


def test_a_jpeg2000_stream_that_is_larger_than_the_header_says(monkeypatch):
    dataset = pydicom.dcmread(bundled("MR_small_jp2klossless.dcm"))
    at = dataset.PixelData.index(b"\xff\x4f\xff\x51") + 8
    dataset.PixelData = dataset.PixelData[:at] + struct.pack(">II", 60_000, 60_000) + dataset.PixelData[at + 8 :]
    data = saved(dataset)
    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DamagedImage, match="64 x 64 pixels, its JPEG 2000 stream 60000 x 60000"):
        decode(data, "a")


def deflated(data, body=None):
    at = data.index(b"\x08\0\x16\0UI")
    head = data[:at].replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x001.2.840.10008.1.2.1.99")
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return head + squeeze.compress(data[at:] if body is None else body) + squeeze.flush()


def test_deflated_files_are_read_and_their_bombs_refused(monkeypatch, tmp_path):
    np.testing.assert_array_equal(decode(deflated(dicom(COLOUR, "RGB")), "a"), COLOUR)
    (tmp_path / "a.dcm").write_bytes(deflated(dicom(np.stack([RAMP] * 5), frames=5)))
    assert frame_count(str(tmp_path / "a.dcm")) == 5
    with pytest.raises(TruncatedImage, match="deflated data"):
        decode(deflated(MONO)[:-5], "a")
    monkeypatch.setattr(coding, "MAX_PIXELS", 10_000)
    with pytest.raises(TooManyPixels, match="hides more"):
        decode(deflated(MONO, bytes(30_000)), "a")


def test_pixels_that_are_short_of_the_header_are_truncated():
    dataset = pydicom.dcmread(BytesIO(MONO))
    dataset.PixelData = dataset.PixelData[:-2]
    with pytest.raises(TruncatedImage, match=r"a\.dcm: its header needs 1,488 bytes of pixels and it has 1,486"):
        decode(saved(dataset), "a.dcm")
    del dataset.PixelData
    with pytest.raises(TruncatedImage, match="ends before its pixels"):
        decode(saved(dataset), "a.dcm")


ONE_BIT = dicom(np.zeros((3, 1, 12), np.uint8), frames=3, Rows=5, Columns=19, BitsAllocated=1, BitsStored=1, HighBit=0)


def rle(frames):
    dataset = pydicom.dcmread(BytesIO(dicom(np.stack([RAMP] * frames), frames=frames)))
    dataset.compress(pydicom.uid.RLELossless)
    return saved(dataset)


@pytest.mark.parametrize(
    ("whole", "frames"),
    [
        (dicom(np.stack([RAMP] * 4), frames=4), 4),
        (dicom(np.stack([COLOUR] * 4), "RGB", frames=4), 4),
        (dicom(np.stack([RAMP.astype(np.float32)] * 4), frames=4), 4),
        (ONE_BIT, 3),
        (rle(4), 4),
        (deflated(dicom(np.stack([RAMP] * 4), frames=4)), 4),
    ],
    ids=["gray", "colour", "floats", "one bit", "fragments", "deflated"],
)
def test_a_file_has_no_more_frames_than_its_pixels_have_room_for(whole, frames, tmp_path):
    """A row is made for each."""
    (tmp_path / "a.dcm").write_bytes(whole)
    assert frame_count(str(tmp_path / "a.dcm")) == frames
    dataset = pydicom.dcmread(BytesIO(whole))
    dataset.NumberOfFrames = frames + 1
    (tmp_path / "a.dcm").write_bytes(saved(dataset))
    assert frame_count(str(tmp_path / "a.dcm")) == 1
    with pytest.raises(TruncatedImage, match=r"a\.dcm: its header .* Copy or export it again"):
        load(str(tmp_path / "a.dcm"))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_half_a_file_is_truncated(share):
    for data in (MONO, dicom(COLOUR, "RGB")):
        at = data.index(b"\xe0\x7f\x10\0")
        with pytest.raises(TruncatedImage):
            decode(data[: at + int(share * (len(data) - at))], "a")


def test_warnings_and_logs_of_pydicom_do_not_leak(capfd):
    names = ["SC_rgb_jpeg_dcmd.dcm", "SC_jpeg_no_color_transform.dcm", "MR_small_padded.dcm", "examples_palette.dcm"]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for name in names:
            shown(name)
        with pytest.raises(DamagedImage):
            shown("badVR.dcm")
        frame_count(bundled("badVR.dcm"))
        broken = pydicom.dcmread(bundled("SC_rgb_jpeg_dcmtk.dcm"))
        broken.PixelData = encapsulate([b"\xff\xd8\xff\xd9" * 10])
        stream = saved(broken)
        seen.clear()
        with pytest.raises(DamagedImage):
            decode(stream, "a")
    assert [str(warning.message) for warning in seen] == []
    assert capfd.readouterr() == ("", "")


def test_values_at_the_high_end_of_their_bits_are_refused():
    values = (WIDE % 4096).astype(np.uint16)
    assert decode(dicom(values, BitsStored=12, HighBit=11), "a.dcm").shape == (*WIDE.shape, 3)
    with pytest.raises(UnsupportedImage, match=r"a\.dcm: its 12 bits end at bit 15 instead of 11"):
        decode(dicom(values * 16, BitsStored=12, HighBit=15), "a.dcm")
