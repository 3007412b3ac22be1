"""Text that a scanner or a program has drawn into an image: at least three letters in a row.

A letter is a thin shape of one brightness that stands out from what is around it: a connected part of the white
top-hat (9 x 9) of the image or of its negative, 6 to 40 pixels high, whose brighter half hardly varies. Letters in a
row have one base line, about one height, one brightness, and gaps of a letter at most. A single R or L is no row.
"""

import numpy as np
import numpy.typing as npt

from embedkit.images.window import Pixels

LEAST_LETTERS = 3

_STROKE = 9
_CONTRAST = 40
_HEIGHTS = (6, 40)
_VARIATION = 40
_SPREAD = 30
# Strokes of small print are a pixel wide, so small images are looked at enlarged too.
_SMALL, _LARGE = 640, 1280
# A texture, not a page: beyond this a row of three comes by chance.
_MANY = 3000

_Parts = npt.NDArray[np.float64]


def letters_in_a_row(pixels: Pixels) -> int:
    """Return how many letters stand in the longest row of an image, (H, W, 3); from `LEAST_LETTERS` on it is text.

    Letters of less than 10 pixels are mostly missed, as is text on an even ground of nearly its brightness.
    """
    from PIL import Image

    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((_LARGE, _LARGE))
    found = _longest(np.asarray(image, np.float32))
    if max(image.size) <= _SMALL:
        twice = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
        found = max(found, _longest(np.asarray(twice, np.float32)))
    return found


def _longest(gray: npt.NDArray[np.float32]) -> int:
    return max(_row(_letters(gray)), _row(_letters(255 - gray)))


def _letters(gray: npt.NDArray[np.float32]) -> _Parts:
    """Return what may be letters, (n, 5): left, right, bottom, height, brightness; sorted from left to right."""
    from scipy import ndimage

    standing_out = ndimage.white_tophat(gray, size=(_STROKE, _STROKE)) > _CONTRAST
    numbered, count = ndimage.label(standing_out, structure=np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered) if count <= _MANY else [], start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not _HEIGHTS[0] <= height <= _HEIGHTS[1] or width > 1.6 * height:
            continue
        mine = numbered[rows, columns] == number
        middle, bright = np.percentile(gray[rows, columns][mine], [60, 95])
        filled = 0.15 <= mine.mean() <= 0.85 or width <= 3
        if filled and bright - middle <= _VARIATION:
            found.append((columns.start, columns.stop, rows.stop, height, bright))
    parts = np.array(found, float).reshape(-1, 5)
    return np.asarray(parts[np.argsort(parts[:, 0], kind="stable")])


def _row(letters: _Parts) -> int:
    longest = np.ones(len(letters), int)
    for here, (left, _, bottom, height, bright) in enumerate(letters):
        before = letters[:here]
        tall, short = np.maximum(before[:, 3], height), np.minimum(before[:, 3], height)
        gap = left - before[:, 1]
        follows = (
            (abs(before[:, 2] - bottom) <= 0.2 * tall)
            & (short >= 0.6 * tall)
            & (gap >= -2)
            & (gap <= 1.2 * tall)
            & (abs(before[:, 4] - bright) <= _SPREAD)
        )
        longest[here] = 1 + longest[:here][follows].max(initial=0)
    return int(longest.max(initial=0))
