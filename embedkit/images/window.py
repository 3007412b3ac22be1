"""From wide values to 8 bits: pure functions on arrays.

Every function maps values to a unit ``u`` in [0, 1], computed in float64, and returns ``floor(255 u + 0.5)``.
Values of 8 bits never come here: they are pixels already.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from embedkit.images.errors import NotFinite

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]


def require_finite(values: Values, name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        NotFinite: with how many there are.
    """
    if values.dtype.kind == "f":
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise NotFinite(
                f"{name}: {bad} of its {values.size} values are NaN or infinite. Replace them, such as by the "
                "value of the background, and save the file again."
            )


def min_max(values: Values, ignore: npt.NDArray[np.bool_] | None = None) -> Pixels:
    """Return values linearly from their minimum (0) to their maximum (255).

    Args:
        values: finite numbers of any shape and type. A constant array becomes 0; False and True become 0 and 255.
        ignore: where values count for neither minimum nor maximum; they become 0.
    """
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    wide = values.astype(np.float64)
    kept = wide if ignore is None else wide[~ignore]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    if low == high:
        return np.zeros(values.shape, np.uint8)
    if ignore is not None:
        wide[ignore] = low
    if math.isinf(high - low):
        wide, low, high = wide / 2, low / 2, high / 2
    wide -= low
    wide /= high - low
    return _to_pixels(wide)


def linear(values: Values, center: float, width: float) -> Pixels:
    """Return values through a DICOM window of function LINEAR (PS3.3 C.11.2.1.2.1); width is at least 1."""
    if width == 1:
        return _to_pixels((values > center - 0.5).astype(np.float64))
    return linear_exact(values, center - 0.5, width - 1)


def linear_exact(values: Values, center: float, width: float) -> Pixels:
    """Return values through a DICOM window of function LINEAR_EXACT (C.11.2.1.3.2); width is above 0."""
    with np.errstate(over="ignore"):
        unit = (values.astype(np.float64) - center) / width
    unit += 0.5
    return _to_pixels(np.clip(unit, 0, 1, out=unit))


def sigmoid(values: Values, center: float, width: float) -> Pixels:
    """Return values through a DICOM window of function SIGMOID (C.11.2.1.3.1); width is above 0."""
    with np.errstate(over="ignore"):
        halves = 2 * ((values.astype(np.float64) - center) / width)
    # 1 / (1 + exp(-4 z)) by the tanh of 2 z, which does not overflow.
    return _to_pixels(0.5 + 0.5 * np.tanh(halves))


def look_up(values: Values, first: int, entries: Values) -> Values:
    """Return ``entries[values - first]``, the first entry for values before it, the last for those after."""
    index: npt.NDArray[np.intp] = np.clip(values.astype(np.float64) - first, 0, len(entries) - 1).astype(np.intp)
    found: Values = entries[index]
    return found


def full_scale(values: Values, bits: int) -> Pixels:
    """Return values of `bits` bits linearly from 0 to 2**bits - 1 (255)."""
    return _to_pixels(np.clip(values / (2**bits - 1), 0, 1))


def _to_pixels(unit: npt.NDArray[np.float64]) -> Pixels:
    unit *= 255
    unit += 0.5
    return unit.astype(np.uint8)
