"""Dermoscopy phantom: skin with a mole, an even symmetric naevus or a ragged lesion of many colours."""

import numpy as np
from numpy.random import Generator

from embedkit.demo.canvas import SIZE, Pixels, Plane, X, Y, absorb, clouds, develop, look, paint, soft, spot
from embedkit.demo.strokes import ink, stroke, wander

_PALE, _DARK = np.array([[0.93, 0.74, 0.70], [0.74, 0.56, 0.47]], np.float32)
_ROW, _COLUMN = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2).astype(np.float32)
_VIGNETTE = 1 - 0.18 * (np.hypot(_ROW, _COLUMN) / SIZE * 2) ** 2
_BLOTCHES = ((0.16, 0.09, 0.09), (0.38, 0.40, 0.50), (0.62, 0.22, 0.22), (0.86, 0.72, 0.70))
"""Black, blue-grey veil, red and scar-like white: the colours that an even naevus has not."""


def draw(rng: Generator, lesion: bool) -> Plane:
    """Return the skin of one phantom patient with its mole, (SIDE, SIDE, 3) in 0..1."""
    tone = rng.uniform(0, 1)
    skin = _PALE + tone * (_DARK - _PALE) + rng.normal(0, 0.02, 3).astype(np.float32)
    texture = 1 + 0.03 * clouds(rng, 60) + 0.025 * clouds(rng, 9, 3)
    image: Plane = texture[..., None] * skin
    image = paint(image, 0.12 * np.clip(clouds(rng, 45), 0, None), (0.85, 0.45, 0.42))
    image = _mole(rng, image, rng.uniform(0.5, 1.0) if lesion else rng.uniform(0.0, 0.35))
    hairs = [
        stroke(wander(rng, tuple(rng.uniform(-120, 120, 2)), rng.normal(0.6, 0.7), 130, 0.01, 0.03), 1.0, 0.4)
        for _ in range(rng.integers(0, 9))
    ]
    return paint(image, 0.6 * ink(hairs), (0.20, 0.13, 0.10))


def photograph(sheet: Plane, rng: Generator) -> Pixels:
    """Return one photograph of the mole through the dermatoscope, (SIZE, SIZE, 3)."""
    image = look(sheet, rng, shift=5, turn=5, zoom=0.05) * _VIGNETTE[..., None]
    return develop(image * rng.uniform(0.96, 1.04, 3).astype(np.float32), rng, exposure=0.10, grain=0.012)


def _mole(rng: Generator, image: Plane, disorder: float) -> Plane:
    angle = np.arctan2(Y, X)
    stretch, axis = rng.uniform(0.75, 1), rng.uniform(0, np.pi)
    along, across = X * np.cos(axis) + Y * np.sin(axis), Y * np.cos(axis) - X * np.sin(axis)
    waves = sum(
        rng.normal(0, 0.03 + 0.10 * disorder) / order**0.5 * np.cos(order * angle + rng.uniform(0, 6.3))
        for order in range(2, 8)
    )
    radius = rng.uniform(38, 62)
    rim = np.hypot(along, across / stretch) - radius * (1 + waves) + (1.5 + 4 * disorder) * clouds(rng, 12, 3)
    inside = soft(rim, rng.uniform(2.5, 6))
    brown = np.array([0.52, 0.32, 0.22]) * rng.uniform(0.75, 1.15) + rng.normal(0, 0.02, 3)
    image = paint(image, 0.85 * inside, tuple(brown))
    core = soft(rim + radius * rng.uniform(0.3, 0.5), radius * 0.15)
    image = paint(image, 0.45 * core, (0.27, 0.15, 0.11))
    mesh = np.exp(-((clouds(rng, 5.5, 2) / 0.4) ** 2)) * inside * (1 - 0.6 * core)
    image = absorb(image, rng.uniform(0.10, 0.28) * mesh, (1, 1, 1))
    for colour in _BLOTCHES:
        x, y = rng.normal(0, radius * 0.4, 2)
        patch = spot(x, y, radius * rng.uniform(0.2, 0.4)) * inside * np.clip(0.7 + 0.4 * clouds(rng, 14, 2), 0, 1)
        image = paint(image, 0.95 * disorder * rng.uniform(0.2, 1) * patch, colour)
    return image
