"""Fundus phantom: disc, macula and arcades of an eye; its lesions are hard exudates and microaneurysms."""

import numpy as np
from numpy.random import Generator

from embedkit.demo.canvas import SIZE, Pixels, Plane, X, Y, absorb, clouds, develop, look, paint, soft, spot
from embedkit.demo.strokes import Stroke, ink, tree

_FIELD = 108.0
_ROW, _COLUMN = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2).astype(np.float32)
_APERTURE = soft(np.hypot(_ROW, _COLUMN) - _FIELD, 0.7)
_VIGNETTE = 1 - 0.35 * (np.hypot(_ROW, _COLUMN) / _FIELD) ** 2


def draw(rng: Generator, lesion: bool) -> Plane:
    """Return the retina of one phantom patient, (SIDE, SIDE, 3) in 0..1."""
    nasal = int(rng.choice((-1, 1)))
    disc = (nasal * rng.uniform(58, 74), rng.uniform(-12, 8))
    macula = (disc[0] - nasal * rng.uniform(66, 74), disc[1] + rng.uniform(4, 12))
    pigment = rng.uniform(0, 1)
    tint = np.array([0.80 - 0.14 * pigment, 0.47 - 0.10 * pigment, 0.24 - 0.09 * pigment], np.float32)
    choroid = 1 + 0.05 * clouds(rng, 70) + 0.03 * clouds(rng, 18, 3)
    image: Plane = choroid[..., None] * tint
    image = absorb(image, spot(*macula, rng.uniform(11, 16)), (0.45, 0.5, 0.4))
    image = paint(image, 0.25 * spot(*disc, 26), (1.0, 0.75, 0.45))
    image = _disc(rng, image, disc)
    for width, share in (
        (rng.uniform(2.8, 3.5), (0.28, 0.52, 0.42)),
        (rng.uniform(2.0, 2.6), (0.10, 0.38, 0.34)),
    ):
        image = absorb(image, ink(_arcades(rng, disc, nasal, width)), share)
    sheen = np.clip(clouds(rng, 40), 0, None) * soft(np.abs(np.hypot(X - macula[0], Y - macula[1]) - 42), 9)
    image = paint(image, rng.uniform(0, 0.12) * sheen, (0.8, 0.75, 0.5))
    drusen = np.zeros_like(X)
    for _ in range(rng.integers(0, 12)):
        drusen = np.maximum(
            drusen, spot(macula[0] + rng.normal(0, 22), macula[1] + rng.normal(0, 22), rng.uniform(0.8, 2))
        )
    image = paint(image, 0.35 * drusen, (0.95, 0.80, 0.45))
    return _sick(rng, image, macula) if lesion else image


def photograph(sheet: Plane, rng: Generator) -> Pixels:
    """Return one exposure of the retina through the round aperture, (SIZE, SIZE, 3)."""
    image = look(sheet, rng, shift=9, turn=6, zoom=0.05)
    lean = 1 + (rng.uniform(-0.2, 0.2) * _ROW + rng.uniform(-0.2, 0.2) * _COLUMN) / _FIELD
    balance = rng.uniform(0.95, 1.05, 3).astype(np.float32)
    lit = image * (_VIGNETTE * lean)[..., None] * balance
    return develop(lit * _APERTURE[..., None], rng, exposure=0.12, grain=0.012)


def _disc(rng: Generator, image: Plane, disc: tuple[float, float]) -> Plane:
    radius = rng.uniform(13, 16)
    distance = np.hypot((X - disc[0]) * 1.1, Y - disc[1])
    image = paint(image, 0.9 * soft(distance - radius, 1.2), (0.97, 0.72, 0.42))
    cup = np.hypot(X - disc[0] - rng.uniform(-2, 2), Y - disc[1] - rng.uniform(-2, 2))
    return paint(image, 0.8 * soft(cup - radius * rng.uniform(0.3, 0.6), 1.5), (1.0, 0.93, 0.72))


def _arcades(rng: Generator, disc: tuple[float, float], nasal: int, width: float) -> list[Stroke]:
    strokes: list[Stroke] = []
    for down in (-1, 1):
        start = (disc[0] + rng.uniform(-3, 3), disc[1] + down * rng.uniform(1, 5))
        steep = rng.uniform(1.2, 1.6)
        temporal = np.arctan2(down * np.sin(steep), -nasal * np.cos(steep))
        bend = -down * -nasal * rng.uniform(0.028, 0.040)
        strokes += tree(rng, start, temporal, rng.uniform(160, 200), width, bend, 0.05, depth=2)
        outward = np.arctan2(down * np.sin(0.8), nasal * np.cos(0.8)) + rng.uniform(-0.3, 0.3)
        strokes += tree(rng, start, outward, rng.uniform(70, 100), width * 0.7, 0.0, 0.06, depth=1)
    return strokes


def _sick(rng: Generator, image: Plane, macula: tuple[float, float]) -> Plane:
    severity = rng.uniform(0.05, 0.7)
    towards, ring = rng.uniform(0, 2 * np.pi), rng.uniform(14, 45)
    exudate, blood = np.zeros_like(X), np.zeros_like(X)
    for _ in range(round(3 + 20 * severity)):
        angle, away = rng.normal(towards, 0.5), rng.normal(ring, 6)
        at = macula[0] + away * np.cos(angle), macula[1] + away * np.sin(angle)
        exudate = np.maximum(exudate, spot(*at, rng.uniform(0.5, 0.9 + 1.2 * severity)))
    for _ in range(round(2 + 12 * severity)):
        at = macula[0] + rng.normal(0, 36), macula[1] + rng.normal(0, 36)
        blood = np.maximum(blood, spot(*at, rng.uniform(0.6, 1.1 + 0.8 * severity)))
    image = paint(image, 0.5 * blood, (0.36, 0.09, 0.05))
    return paint(image, 0.7 * soft(0.45 - exudate, 0.08), (0.98, 0.85, 0.45))
