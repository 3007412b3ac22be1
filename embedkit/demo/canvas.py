"""The sheet every phantom is drawn on: smooth noise, soft edges, a camera that moves and a film with grain."""

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
Pixels = NDArray[np.uint8]

SIZE: Final = 224
"""Side of a finished image in pixels."""

SIDE: Final = 264
"""Side of the sheet: larger than the image, so that the camera can move without leaving the anatomy."""

_AXIS: Final = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
X: Final[Plane] = np.broadcast_to(_AXIS[None, :], (SIDE, SIDE))
Y: Final[Plane] = np.broadcast_to(_AXIS[:, None], (SIDE, SIDE))
"""Coordinates on the sheet in pixels, the middle at 0, x to the right and y down."""


def clouds(rng: Generator, scale: float, octaves: int = 1) -> Plane:
    """Return smooth noise (SIDE, SIDE), mean 0 and variance 1, whose largest grains are `scale` pixels wide."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(octaves):
        cells = 2 + round(SIDE * 2**octave / scale)
        coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
        total += np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 2**octave
    noise: Plane = (total - total.mean()) / total.std()
    return noise


def soft(distance: Plane, width: float) -> Plane:
    """Return a mask, 1 where `distance` is well below 0 and 0 well above it, with an edge `width` pixels wide."""
    mask: Plane = 1 / (1 + np.exp(np.clip(distance.astype(np.float32) / float(width), -30, 30)))
    return mask


def spot(x: float, y: float, radius: float) -> Plane:
    """Return a Gaussian of height 1 at (x, y) whose standard deviation is `radius` pixels."""
    across = np.exp(-(((_AXIS - float(x)) / float(radius)) ** 2) / 2)
    down = np.exp(-(((_AXIS - float(y)) / float(radius)) ** 2) / 2)
    return down[:, None] * across[None, :]


def paint(image: Plane, mask: Plane, colour: tuple[float, float, float]) -> Plane:
    """Return the colour image (SIDE, SIDE, 3) with `colour` laid over it where `mask` is above 0."""
    return image + mask.astype(np.float32)[..., None] * (np.asarray(colour, np.float32) - image)


def absorb(image: Plane, mask: Plane, share: tuple[float, float, float]) -> Plane:
    """Return the colour image with that share of its red, green and blue light taken away where `mask` is 1."""
    return image * (1 - mask.astype(np.float32)[..., None] * np.asarray(share, np.float32))


def look(sheet: Plane, rng: Generator, shift: float, turn: float, zoom: float) -> Plane:
    """Return what a camera sees of the sheet from a slightly different place each time.

    Args:
        sheet: (SIDE, SIDE) or (SIDE, SIDE, 3).
        rng: where it stands.
        shift: largest movement in pixels, along each axis.
        turn: largest rotation in degrees.
        zoom: largest relative change of scale.

    Returns:
        (SIZE, SIZE) or (SIZE, SIZE, 3).
    """
    angle, scale = np.radians(rng.uniform(-turn, turn)), 1 + rng.uniform(-zoom, zoom)
    dx, dy = rng.uniform(-shift, shift, 2)
    cos, sin, middle = np.cos(angle) * scale, np.sin(angle) * scale, SIZE / 2
    inverse = (
        (cos, -sin, SIDE / 2 + dx - (cos - sin) * middle),
        (sin, cos, SIDE / 2 + dy - (sin + cos) * middle),
    )

    def seen(plane: Plane) -> Plane:
        picture = Image.fromarray(np.ascontiguousarray(plane)).transform(
            (SIZE, SIZE), Image.Transform.AFFINE, inverse[0] + inverse[1], Image.Resampling.BILINEAR
        )
        return np.asarray(picture)

    return seen(sheet) if sheet.ndim == 2 else np.dstack([seen(plane) for plane in np.moveaxis(sheet, 2, 0)])


def develop(image: Plane, rng: Generator, exposure: float, grain: float) -> Pixels:
    """Return uint8 pixels of an image in 0..1 after a random change of brightness and contrast, and grain."""
    brightness, contrast = rng.uniform(1 - exposure, 1 + exposure), rng.uniform(-exposure, exposure)
    film = image * brightness * (1 + contrast * (2 * image - 1))
    film += rng.standard_normal(image.shape, dtype=np.float32) * grain
    return (np.clip(film, 0, 1) * 255 + 0.5).astype(np.uint8)
