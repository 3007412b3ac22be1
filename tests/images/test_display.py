import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedkit.images import DamagedImage, NotFinite, UnsupportedImage, decode

from .making import COLOUR, RAMP, WIDE, dicom, gray_rgb, lut, min_max

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.pixels import apply_modality_lut, apply_voi_lut  # noqa: E402

ROW = np.array([[0, 10, 20, 30, 40, 50]], np.uint16)


def levels(data, frame=None):
    pixels = decode(data, "a.dcm", frame)
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[0, :, 0].tolist()


def test_wide_gray_without_a_window_is_min_max():
    np.testing.assert_array_equal(decode(dicom(WIDE), "a"), min_max(WIDE))
    np.testing.assert_array_equal(decode(dicom(WIDE.astype(np.int16) - 9000), "a"), min_max(WIDE))


def test_8_bit_gray_without_a_window_is_never_stretched():
    np.testing.assert_array_equal(decode(dicom(RAMP // 4 + 50), "a"), gray_rgb(RAMP // 4 + 50))
    in_16 = dicom((RAMP // 4).astype(np.uint16), BitsStored=8, HighBit=7)
    np.testing.assert_array_equal(decode(in_16, "a"), gray_rgb(RAMP // 4))
    identity = dicom(RAMP // 4, RescaleSlope="1", RescaleIntercept="0")
    np.testing.assert_array_equal(decode(identity, "a"), gray_rgb(RAMP // 4))
    np.testing.assert_array_equal(decode(dicom(RAMP // 4, RescaleSlope="2", RescaleIntercept="0"), "a"), min_max(RAMP))


def test_monochrome1_is_inverted():
    np.testing.assert_array_equal(decode(dicom(WIDE, "MONOCHROME1"), "a"), 255 - min_max(WIDE))
    np.testing.assert_array_equal(decode(dicom(RAMP, "MONOCHROME1"), "a"), 255 - gray_rgb(RAMP))


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_extreme(kind):
    values = np.array([[-2000, 100, 200, 300, -2000]], np.int16)
    expected = [0, 0, 128, 255, 0] if kind == "MONOCHROME2" else [0, 255, 127, 0, 0]
    assert levels(dicom(values, kind, PixelPaddingValue=("SS", -2000))) == expected
    assert levels(dicom(values, kind, PixelPaddingValue=("US", 63536))) == expected
    ranged = np.array([[-2000, 100, 200, 300, -1990]], np.int16)
    limits = {"PixelPaddingValue": ("SS", -2000), "PixelPaddingRangeLimit": ("SS", -1980)}
    assert levels(dicom(ranged, kind, **limits)) == expected


def test_nothing_but_padding_is_black():
    assert not any(levels(dicom(ROW * 0 + 7, PixelPaddingValue=("US", 7))))


def test_rescale_comes_before_the_window():
    windowed = dicom(ROW, RescaleSlope="2", RescaleIntercept="-40", WindowCenter="10.5", WindowWidth="41")
    # values -40 -20 0 20 40 60, the window from -10 to 30
    assert levels(windowed) == [0, 0, 64, 191, 255, 255]
    assert levels(dicom(ROW, RescaleSlope="-1", RescaleIntercept="0")) == [255, 204, 153, 102, 51, 0]


def test_functions_of_the_window():
    window = {"WindowCenter": "20", "WindowWidth": "20"}
    assert levels(dicom(ROW, VOILUTFunction="LINEAR_EXACT", **window)) == [0, 0, 128, 255, 255, 255]
    expected = [int(255 / (1 + np.exp(-4 * (x - 20) / 20)) + 0.5) for x in ROW[0].astype(float)]
    assert levels(dicom(ROW, VOILUTFunction="SIGMOID", **window)) == expected
    assert levels(dicom(ROW, WindowCenter="20", WindowWidth="1")) == [0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("width", ["0", "-5", "0.5", ""])
def test_a_window_that_the_standard_forbids_counts_as_none(width):
    assert levels(dicom(ROW, WindowCenter="20", WindowWidth=width)) == min_max(ROW)[0, :, 0].tolist()
    assert levels(dicom(ROW, WindowWidth="20")) == min_max(ROW)[0, :, 0].tolist()


def test_a_voi_lut_goes_before_a_window_and_spans_its_bits():
    table = lut(10, 12, [0, 0, 0, 0, 0, 4095, 2048, 1024])
    data = dicom(ROW + 5, VOILUTSequence=[table], WindowCenter="20", WindowWidth="20")
    assert levels(data) == [0, 255, 64, 64, 64, 64]


def test_a_modality_lut_replaces_the_rescale():
    table = lut(0, 16, list(range(1000, 0, -10)))
    expected = min_max(1000 - 10 * ROW.astype(int))[0, :, 0].tolist()
    assert levels(dicom(ROW, ModalityLUTSequence=[table], RescaleSlope="7", RescaleIntercept="1")) == expected


@given(
    st.lists(st.integers(-500, 500), min_size=2, max_size=12),
    st.integers(-300, 300),
    st.integers(2, 600),
    st.sampled_from([0.5, 1.0, 2.0, -1.0]),
    st.integers(-100, 100),
)
def test_the_window_agrees_with_pydicom(values, center, width, slope, intercept):
    stored = np.array([values], np.int16)
    data = dicom(
        stored, WindowCenter=center, WindowWidth=width, RescaleSlope=str(slope), RescaleIntercept=str(intercept)
    )
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    reference = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    low, high = -32768 * slope + intercept, 32767 * slope + intercept
    expected = 255 * (reference - low) / (high - low)
    assert np.abs(np.array(levels(data)) - expected[0]).max() <= 0.5 + 1e-6


@given(st.lists(st.integers(0, 1023), min_size=2, max_size=9), st.integers(0, 300), st.integers(2, 700))
def test_the_lut_agrees_with_pydicom(values, first, size):
    stored = np.array([values], np.uint16)
    entries = [(i * 37) % 1024 for i in range(size)]
    data = dicom(stored, VOILUTSequence=[lut(first, 10, entries)])
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    expected = np.floor(255 * apply_voi_lut(stored, dataset).astype(float) / 1023 + 0.5)
    assert levels(data) == expected[0].tolist()


def macro(sequence, **elements):
    group, item = Dataset(), Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    setattr(group, sequence, [item])
    return group


def test_an_enhanced_file_says_it_for_each_frame_or_for_all():
    frames = np.stack([ROW, ROW])
    shared = macro("PixelValueTransformationSequence", RescaleSlope="2", RescaleIntercept="0")
    each = [macro("FrameVOILUTSequence", WindowCenter=c, WindowWidth="41") for c in ("20.5", "60.5")]
    data = dicom(frames, frames=2, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=each)
    # values 0 20 40 60 80 100
    assert levels(data, 0) == [0, 128, 255, 255, 255, 255]
    assert levels(data, 1) == [0, 0, 0, 128, 255, 255]


def palette(entries, bits, **elements):
    tables = {}
    for index, name in enumerate(("Red", "Green", "Blue")):
        data = np.array([entry[index] for entry in entries], "<u2" if bits == 16 else "u1").tobytes()
        tables[f"{name}PaletteColorLookupTableDescriptor"] = ("US", [len(entries), 3, bits])
        tables[f"{name}PaletteColorLookupTableData"] = ("OW", data + b"\0" * (len(data) % 2))
    return dicom(np.array([[0, 3, 4, 5, 99]], np.uint8), "PALETTE COLOR", **tables, **elements)


def test_palettes_of_8_and_16_bits_clamp_to_their_ends():
    colours = [(255, 0, 1), (2, 3, 4), (9, 8, 7)]
    expected = [list(colours[index]) for index in (0, 0, 1, 2, 2)]
    assert decode(palette(colours, 8), "a")[0].tolist() == expected
    wide = [tuple(256 * part + 99 for part in colour) for colour in colours]
    assert decode(palette(wide, 16), "a")[0].tolist() == expected


def test_a_wide_index_into_an_8_bit_palette_does_not_wrap():
    tables = {}
    for name in ("Red", "Green", "Blue"):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = ("US", [600, 0, 8])
        tables[f"{name}PaletteColorLookupTableData"] = ("OW", bytes(i // 3 for i in range(600)))
    data = dicom(np.array([[0, 299, 300, 599]], np.uint16), "PALETTE COLOR", **tables)
    assert levels(data) == [0, 99, 100, 199]


def test_a_segmented_palette():
    tables = {}
    for name in ("Red", "Green", "Blue"):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = ("US", [4, 0, 16])
        # discrete: one entry 0; linear: three more up to 0x3000
        segments = np.array([0, 1, 0, 1, 3, 0x3000], "<u2").tobytes()
        tables[f"Segmented{name}PaletteColorLookupTableData"] = ("OW", segments)
    assert levels(dicom(np.array([[0, 1, 2, 3]], np.uint8), "PALETTE COLOR", **tables)) == [0, 16, 32, 48]


def test_colour_planes_and_deep_colour():
    planes = dicom(COLOUR, "RGB", PlanarConfiguration=1, PixelData=COLOUR.transpose(2, 0, 1).tobytes())
    shown = decode(planes, "a")
    np.testing.assert_array_equal(shown, COLOUR)
    assert shown.flags.c_contiguous
    twelve = dicom(COLOUR.astype(np.uint16) << 4, "RGB", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(decode(twelve, "a"), COLOUR)


def test_ybr_full_is_the_formula_of_the_standard():
    ybr = COLOUR.astype(float) - [0, 128, 128]
    red = ybr[..., 0] + 1.402 * ybr[..., 2]
    green = ybr[..., 0] - 0.344136 * ybr[..., 1] - 0.714136 * ybr[..., 2]
    blue = ybr[..., 0] + 1.772 * ybr[..., 1]
    expected = np.clip(np.stack([red, green, blue], axis=2), 0, 255)
    assert np.abs(decode(dicom(COLOUR, "YBR_FULL"), "a") - expected).max() <= 0.51


def test_float_pixels_and_their_nan():
    values = np.array([[0.0, 0.25, 1.0]], np.float32)
    assert levels(dicom(values)) == [0, 64, 255]
    with pytest.raises(NotFinite, match=r"a\.dcm: 1 of its 3"):
        decode(dicom(np.array([[0.0, np.nan, 1.0]], np.float32)), "a.dcm")
    with pytest.raises(NotFinite):
        decode(dicom(ROW, RescaleSlope="1e400", RescaleIntercept="0"), "a.dcm")


def test_interpretations_that_do_not_fit_or_are_not_known():
    with pytest.raises(DamagedImage, match="MONOCHROME2 and its pixels have 3 samples"):
        decode(dicom(COLOUR, "MONOCHROME2"), "a")
    with pytest.raises(DamagedImage, match="RGB and its pixels have 1 samples"):
        decode(dicom(RAMP, "RGB"), "a")
    with pytest.raises((UnsupportedImage, DamagedImage), match="HSV"):
        decode(dicom(COLOUR, "HSV"), "a")
