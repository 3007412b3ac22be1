"""Files that are the channels of one image, such as the phases of a CT: their pixels and their identity."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

from embedkit.images.errors import SizesDiffer
from embedkit.images.window import Pixels

MOST = 3


def stack(channels: Mapping[str, Pixels], name: str) -> Pixels:
    """Return an image whose red, green and blue are the luminance of other images, (H, W, 3).

    A gray image is its own luminance (ITU-R 601-2). Of two channels blue is 0.

    Args:
        channels: two or three, by name, each (H, W, 3). name: what errors call the image.

    Raises:
        SizesDiffer: with the size of each.
    """
    if len({pixels.shape for pixels in channels.values()}) > 1:
        sizes = ", ".join(f"{key} {pixels.shape[1]} x {pixels.shape[0]}" for key, pixels in channels.items())
        raise SizesDiffer(
            f"{name}: its channels differ in size ({sizes}). Resample them to one grid, one over the other."
        )
    gray = [np.asarray(Image.fromarray(pixels).convert("L")) for pixels in channels.values()]
    return np.stack([*gray, *[np.zeros_like(gray[0])] * (MOST - len(gray))], axis=2)


def identity(digests: Iterable[str]) -> str:
    """Return the digest of an image from those of its channels, in order; their names are no part of it."""
    return hashlib.sha256(f"channels {' '.join(digests)}".encode()).hexdigest()[:32]
