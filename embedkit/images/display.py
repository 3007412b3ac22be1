"""DICOM: from stored values to what a viewer first shows, 8-bit RGB (PS3.3 C.7.6.3, C.11.1 and C.11.2).

Gray: modality LUT or rescale, then the first VOI LUT or window of the header. Without one, 8-bit values that
nothing rescaled stay as they are, and others run from the minimum to the maximum of what is not padding. A window
that the standard forbids counts as none. MONOCHROME1 is inverted at the end; padding is black.
Colour: the high byte of each sample.
"""

from collections.abc import MutableSequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedkit.images import window
from embedkit.images.errors import DamagedImage, UnsupportedImage
from embedkit.images.window import Pixels, Values

_GRAY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def to_rgb(values: Values, dataset: Any, frame: int, name: str) -> Pixels:
    """Return the pixels of one frame, (H, W, 3).

    Args:
        values: its stored values, (H, W) or (H, W, 3).
        dataset: the pydicom data set that describes them.
        frame: its 0-based number, for what the header says of each frame.
        name: what errors call it.

    Raises:
        NotFinite: floating-point pixels are NaN or infinite.
        DamagedImage, UnsupportedImage: a photometric interpretation that does not fit, or is not known.
    """
    kind = str(dataset.PhotometricInterpretation)
    if kind not in (*_GRAY, *_COLOUR, "PALETTE COLOR"):
        raise UnsupportedImage(f"{name}: its colours are stored as {kind}, which is not read. Export it as RGB.")
    if (values.ndim == 3) != (kind in _COLOUR):
        raise DamagedImage(
            f"{name}: its header says {kind} and its pixels have {values.shape[2] if values.ndim == 3 else 1} "
            "samples each. Export it again."
        )
    if kind in _COLOUR:
        return _high_byte(values, int(dataset.BitsStored))
    if kind == "PALETTE COLOR":
        return _palette(values, dataset)
    gray = _gray(values, dataset, frame, name)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _gray(values: Values, dataset: Any, frame: int, name: str) -> Pixels:
    padding = _padding(values, dataset)
    real = _rescaled(values, _group(dataset, frame, "PixelValueTransformationSequence"), dataset)
    window.require_finite(real, name)
    gray = _windowed(real, _group(dataset, frame, "FrameVOILUTSequence"), dataset)
    if gray is None:
        as_it_is = real is values and values.dtype.kind == "u" and dataset.BitsStored == 8 and values.max() <= 255
        gray = values.astype(np.uint8) if as_it_is else window.min_max(real, padding)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        gray = 255 - gray
    if padding is not None:
        gray[padding] = 0
    return gray


def _group(dataset: Any, frame: int, sequence: str) -> Any:
    """Return where an enhanced file says something of a frame: for it, for all, or as plain files do."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence][0]
    return dataset


def _padding(values: Values, dataset: Any) -> npt.NDArray[np.bool_] | None:
    first = dataset.get("PixelPaddingValue")
    if first is None or values.dtype.kind not in "iu":
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    # Some writers store it with the other sign: as many bits, read as the pixels are.
    ends = np.array([first, first if last is None else last], np.int64).astype(values.dtype)
    padding: npt.NDArray[np.bool_] = (values >= ends.min()) & (values <= ends.max())
    return padding


def _rescaled(values: Values, group: Any, dataset: Any) -> Values:
    if group.get("ModalityLUTSequence"):
        first, _, entries = _table(group.ModalityLUTSequence[0], dataset)
        return window.look_up(values, first, entries)
    slope, intercept = _number(group, "RescaleSlope", 1.0), _number(group, "RescaleIntercept", 0.0)
    if slope == 1 and intercept == 0:
        return values
    rescaled: Values = values.astype(np.float64) * slope + intercept
    return rescaled


def _windowed(values: Values, group: Any, dataset: Any) -> Pixels | None:
    if group.get("VOILUTSequence"):
        first, bits, entries = _table(group.VOILUTSequence[0], dataset)
        if 8 <= bits <= 16:
            return window.full_scale(window.look_up(values, first, entries), bits)
    center, width = _number(group, "WindowCenter", np.nan), _number(group, "WindowWidth", np.nan)
    function = str(group.get("VOILUTFunction") or "LINEAR").upper()
    narrowest = 1.0 if function == "LINEAR" else np.finfo(np.float64).tiny
    if not (np.isfinite(center) and np.isfinite(width) and width >= narrowest):
        return None
    apply = {"LINEAR_EXACT": window.linear_exact, "SIGMOID": window.sigmoid}.get(function, window.linear)
    return apply(values, center, width)


def _number(group: Any, keyword: str, default: float) -> float:
    """Return the first value of an element, the default where it is missing or empty."""
    value = group.get(keyword)
    if isinstance(value, MutableSequence):
        value = value[0] if value else None
    return default if value in (None, "") else float(value)


def _table(item: Any, dataset: Any) -> tuple[int, int, Values]:
    """Return the first value a LUT maps, the bits of its entries, and the entries."""
    _, first, bits = item.LUTDescriptor
    return int(first), int(bits), _entries(item.LUTData, int(item.LUTDescriptor[0]) or 65536, dataset)


def _entries(data: Any, count: int, dataset: Any) -> Values:
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.int64))
    if len(data) < 2 * count:
        return np.frombuffer(data, np.uint8)[:count]
    return np.frombuffer(data, "<u2" if dataset.original_encoding[1] else ">u2")[:count]


def _palette(values: Values, dataset: Any) -> Pixels:
    if "RedPaletteColorLookupTableData" not in dataset:
        from pydicom.pixels.processing import apply_color_lut

        coloured: Values = apply_color_lut(values, dataset)
        return _high_byte(coloured[:, :, :3], 8 * coloured.dtype.itemsize)
    count, first, bits = (int(number) for number in dataset.RedPaletteColorLookupTableDescriptor)
    tables = [dataset[f"{colour}PaletteColorLookupTableData"].value for colour in ("Red", "Green", "Blue")]
    channels = [window.look_up(values, first, _entries(table, count or 65536, dataset)) for table in tables]
    return _high_byte(np.stack(channels, axis=2), bits)


def _high_byte(values: Values, bits: int) -> Pixels:
    if values.dtype != np.uint8:
        values = np.minimum(values >> max(bits - 8, 0), 255)
    return np.ascontiguousarray(values, np.uint8)
