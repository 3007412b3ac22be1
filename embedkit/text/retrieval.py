"""Image-to-text retrieval: how far down the list of all texts the right one stands."""

from collections.abc import Sequence

import numpy as np

from embedkit.errors import EmbedkitError


def ranks(images: np.ndarray, texts: np.ndarray, right: Sequence[Sequence[int]]) -> np.ndarray:
    """Return where the first right text of each image stands among all texts, 0 for the top, (n,).

    A wrong text that is just as near counts as nearer.

    Args:
        images: (n, d) and texts: (m, d), of one space, at length 1. right: of each image the rows of its texts.

    Raises:
        EmbedkitError: the spaces have different dimensions, or an image has no text.
    """
    if images.shape[1] != texts.shape[1]:
        raise EmbedkitError(
            f"the spaces differ: the images have {images.shape[1]} dimensions and the texts {texts.shape[1]}"
        )
    if len(right) != len(images) or not all(len(rows) for rows in right):
        raise EmbedkitError("every image needs at least one right text: give a list of rows for each")
    cosines = np.asarray(images, np.float64) @ np.asarray(texts, np.float64).T
    found = np.empty(len(images), np.int64)
    for number, rows in enumerate(right):
        wrong = np.delete(cosines[number], list(rows))
        found[number] = (wrong >= cosines[number, list(rows)].max()).sum()
    return found


def top(found: np.ndarray, k: int) -> float:
    """Return the share of images whose right text is among the first k, from `ranks`."""
    return float((found < k).mean())
