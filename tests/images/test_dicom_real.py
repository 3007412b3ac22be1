"""Real DICOM files, each against its formula written out."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.images import (
    DamagedImage,
    ImageError,
    NoSuchPart,
    NotAnImage,
    SeveralFrames,
    TruncatedImage,
    UnsupportedImage,
    frame_count,
    load,
)

from .making import gray_rgb, min_max

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402
from pydicom.encaps import get_frame  # noqa: E402
from pydicom.pixels import get_decoder, pixel_array  # noqa: E402


def bundled(name):
    path = get_testdata_file(name, download=False)
    return path or pytest.skip(f"pydicom has no {name}")


def shown(name):
    return load(bundled(name))[0]


def windowed(values, center, width):
    """Return the LINEAR function of PS3.3 C.11.2.1.2.1 for 0..255, written out."""
    unit = (values.astype(float) - (center - 0.5)) / (width - 1) + 0.5
    return gray_rgb(np.floor(255 * np.clip(unit, 0, 1) + 0.5))


def test_real_ct_without_a_window(data_root):
    stored = pydicom.dcmread(data_root / "dicom/CT_small.dcm").pixel_array.astype(int)
    kept = stored[stored != -2000]
    low, high = kept.min() - 1024, kept.max() - 1024
    expected = np.where(stored == -2000, 0, np.floor(255 * (stored - 1024 - low) / (high - low) + 0.5))
    np.testing.assert_array_equal(load(str(data_root / "dicom/CT_small.dcm"))[0], gray_rgb(expected))


def test_real_mr_with_a_window(data_root):
    path = data_root / "dicom/MR_small.dcm"
    np.testing.assert_array_equal(load(str(path))[0], windowed(pydicom.dcmread(path).pixel_array, 600, 1600))


def test_real_scan_with_two_windows_takes_the_first(data_root):
    path = data_root / "dicom/examples_overlay.dcm"
    np.testing.assert_array_equal(load(str(path))[0], windowed(pydicom.dcmread(path).pixel_array, 450, 790))


@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "examples_jpeg2k.dcm"])
def test_real_colour_is_what_is_stored(data_root, name):
    path = data_root / "dicom" / name
    np.testing.assert_array_equal(load(str(path))[0], pixel_array(path))


def test_real_jpeg2000_against_pillow(data_root):
    path = data_root / "dicom/examples_jpeg2k.dcm"
    stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    np.testing.assert_array_equal(load(str(path))[0], np.asarray(Image.open(BytesIO(stream))))


def test_real_palette(data_root):
    dataset = pydicom.dcmread(data_root / "dicom/examples_palette.dcm")
    tables = [dataset[f"{name}PaletteColorLookupTableData"].value for name in ("Red", "Green", "Blue")]
    expected = np.stack([np.frombuffer(table, "<u2")[dataset.pixel_array] >> 8 for table in tables], axis=2)
    np.testing.assert_array_equal(load(str(data_root / "dicom/examples_palette.dcm"))[0], expected)


def test_real_frames_of_ybr_jpeg(data_root):
    path = data_root / "dicom/examples_ybr_color.dcm"
    with pytest.raises(SeveralFrames, match=r"30 frames.*examples_ybr_color\.dcm#frame=29"):
        load(str(path))
    data = pydicom.dcmread(path).PixelData
    for index in (0, 17, 29):
        jpeg = np.asarray(Image.open(BytesIO(get_frame(data, index, number_of_frames=30)))).astype(int)
        assert np.abs(load(f"{path}#frame={index}")[0] - jpeg).max() <= 2
        np.testing.assert_array_equal(load(f"{path}#frame={index}")[0], pixel_array(path, index=index))
    with pytest.raises(NoSuchPart, match="no frame 30"):
        load(f"{path}#frame=30")


@pytest.mark.parametrize(
    "name", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "padded"], ids=lambda name: name
)
def test_one_image_in_every_lossless_coding_is_the_same(name):
    np.testing.assert_array_equal(shown(f"MR_small_{name}.dcm"), shown("MR_small.dcm"))


@pytest.mark.parametrize("name", ["_16bit", "_32bit"])
def test_deep_colour_is_the_high_byte(name):
    np.testing.assert_array_equal(shown(f"SC_rgb_rle{name}.dcm"), shown("SC_rgb_rle.dcm"))
    for frame in (0, 1):
        path = bundled(f"SC_rgb_rle{name}_2frame.dcm")
        stored = pixel_array(path, index=frame)
        np.testing.assert_array_equal(load(f"{path}#frame={frame}")[0], stored >> (8 * stored.itemsize - 8))


@pytest.mark.parametrize("name", ["SC_ybr_full_422_uncompressed", "SC_rgb_dcmtk_+eb+cy+s4", "SC_rgb_jpeg_dcmtk"])
def test_ybr_becomes_rgb(name):
    assert np.abs(shown(f"{name}.dcm").astype(int) - shown("SC_rgb_rle.dcm")).mean() < 1.5


@pytest.mark.parametrize("name", ["SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "ExplVR_BigEnd.dcm"])
def test_odd_sizes_and_byte_orders(name):
    np.testing.assert_array_equal(shown(name), pixel_array(bundled(name)))


def test_other_bundled_grays():
    ct = pixel_array(bundled("693_J2KI.dcm")).astype(int)
    np.testing.assert_array_equal(
        shown("693_J2KI.dcm"), np.where((ct == -2000)[..., None], 0, windowed(ct - 1024, 40, 100))
    )
    mismatch = pixel_array(bundled("J2K_pixelrep_mismatch.dcm"))
    np.testing.assert_array_equal(shown("J2K_pixelrep_mismatch.dcm"), windowed(mismatch, 40, 100))
    np.testing.assert_array_equal(shown("JPEG2000.dcm"), min_max(pixel_array(bundled("JPEG2000.dcm"))))
    np.testing.assert_array_equal(shown("liver_1frame.dcm"), gray_rgb(255 * pixel_array(bundled("liver_1frame.dcm"))))
    np.testing.assert_array_equal(
        shown("image_dfl.dcm"), gray_rgb(pydicom.dcmread(bundled("image_dfl.dcm")).pixel_array)
    )
    dose = f"{bundled('rtdose_rle.dcm')}#frame=14"
    np.testing.assert_array_equal(load(dose)[0], min_max(pixel_array(bundled("rtdose.dcm"), index=14)))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MR_truncated.dcm", TruncatedImage),
        ("rtplan.dcm", NotAnImage),
        ("rtstruct.dcm", NotAnImage),
        ("test-SR.dcm", NotAnImage),
        ("waveform_ecg.dcm", NotAnImage),
        ("no_meta.dcm", NotAnImage),
        ("badVR.dcm", DamagedImage),
        ("JPEG2000-embedded-sequence-delimiter.dcm", DamagedImage),
        ("meta_missing_tsyntax.dcm", DamagedImage),
    ],
)
def test_bundled_files_without_an_image(name, kind):
    with pytest.raises(kind, match=name):
        shown(name)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("JPEGLSNearLossless_16.dcm", "pip install pyjpegls"),
        ("SC_rgb_jpeg_gdcm.dcm", "pip install pylibjpeg pylibjpeg-libjpeg"),
        ("JPGExtended.dcm", "pip install pylibjpeg pylibjpeg-libjpeg"),
    ],
)
def test_a_missing_codec_names_the_command(name, command):
    if set(get_decoder(pydicom.dcmread(bundled(name)).file_meta.TransferSyntaxUID).available_plugins) - {"pillow"}:
        pytest.skip("the codec is installed here")
    with pytest.raises(UnsupportedImage, match=command):
        shown(name)


def test_every_bundled_file_is_an_image_or_refused_by_name():
    for path in sorted(Path(bundled("MR_small.dcm")).parent.glob("*.dcm")):
        try:
            pixels, _ = load(f"{path}#frame={frame_count(str(path)) - 1}")
        except ImageError as error:
            assert path.name in str(error)
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3
