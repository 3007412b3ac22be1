"""Mammogram phantom: an oblique view with pectoral muscle, gland and fibres; its lesion is a spiculated mass."""

import numpy as np
from numpy.random import Generator

from embedkit.demo.canvas import SIZE, Pixels, Plane, X, Y, clouds, develop, look, soft, spot
from embedkit.demo.strokes import Stroke, ink, stroke, wander

_WALL = -SIZE / 2
"""Where the chest wall is: along the left side of the image."""


def draw(rng: Generator, lesion: bool) -> Plane:
    """Return the breast of one phantom patient, (SIDE, SIDE) in 0..1, the chest wall to the left."""
    depth, widest = rng.uniform(100, 140), rng.uniform(15, 40)
    axilla, above, below = rng.uniform(28, 50), rng.uniform(75, 105), rng.uniform(72, 95)
    upper = axilla + (depth - axilla) * np.exp(-(((Y - widest) / above) ** 2))
    lower = depth * np.sqrt(np.clip(1 - ((Y - widest) / below) ** 2, 0, None))
    reach = np.maximum(np.where(widest > Y, upper, lower), 1)
    inside = (X - _WALL) / reach
    thickness = np.clip(1 - np.clip(inside, 0, None) ** 6, 0, 1) ** 0.6
    nipple = (_WALL + depth - 2, widest)

    density = rng.uniform(0.15, 0.8)
    cone = soft(np.hypot((X - nipple[0] + depth * 0.48) / (depth * 0.5), (Y - widest) / (0.5 * below + 20)) - 1, 0.14)
    lobes = np.clip(0.5 + 0.4 * clouds(rng, 45, 5), 0, 1.6)
    ridges = np.exp(-((clouds(rng, 11, 2) / 0.7) ** 2)) * np.clip(0.4 + 0.6 * clouds(rng, 25, 2), 0, None)
    tissue = 0.30 + 0.02 * clouds(rng, 60, 4) + cone * ((0.05 + 0.30 * density) * lobes + 0.06 * ridges)
    tissue = tissue + 0.03 * ridges + 0.07 * ink(_fibres(rng, nipple, depth))
    slant = rng.uniform(0.38, 0.6)
    muscle = soft((X - _WALL) - slant * (rng.uniform(20, 70) - Y), 2.5)
    tissue = tissue + 0.25 * muscle * (1 + 0.05 * clouds(rng, 20, 2))
    if lesion:
        tissue = tissue + _mass(rng, nipple, depth) * np.clip(0.92 - tissue, 0, None)
    image: Plane = (tissue * thickness + 0.12 * spot(*nipple, 4)) * soft(_WALL - X, 0.5)
    return image


def photograph(sheet: Plane, rng: Generator) -> Pixels:
    """Return one film of the breast, (SIZE, SIZE), a little differently placed and exposed."""
    return develop(look(sheet, rng, shift=6, turn=3, zoom=0.05), rng, exposure=0.09, grain=0.012)


def _fibres(rng: Generator, nipple: tuple[float, float], depth: float) -> list[Stroke]:
    strokes: list[Stroke] = []
    for _ in range(60):
        heading = np.pi + rng.normal(0, 0.6)
        away = depth * rng.uniform(0.08, 0.9)
        start = (nipple[0] + away * np.cos(heading), nipple[1] + away * np.sin(heading))
        path = wander(rng, start, heading, rng.uniform(15, 50), rng.normal(0, 0.03), 0.08)
        strokes.append(stroke(path, rng.uniform(0.4, 1.5), 0.3))
    return strokes


def _mass(rng: Generator, nipple: tuple[float, float], depth: float) -> Plane:
    x = nipple[0] - depth * rng.uniform(0.3, 0.65)
    y = nipple[1] + rng.uniform(-30, 22)
    radius, strength = rng.uniform(6.5, 12), rng.uniform(0.42, 0.68)
    ragged = np.hypot(X - x, (Y - y) * rng.uniform(0.8, 1.25)) + 2.2 * clouds(rng, 9, 2)
    angles = np.cumsum(rng.uniform(0.1, 0.55, 22))
    spicules = [
        stroke(wander(rng, (x, y), angle, radius * rng.uniform(1.5, 4.0), rng.normal(0, 0.03), 0.06), 1.3, 0.3)
        for angle in angles[angles < 2 * np.pi]
    ]
    core = 0.55 * soft(ragged - radius, 3) + 0.4 * spot(x, y, radius * 0.8)
    mass: Plane = core + 0.6 * ink(spicules) * (1 - core) + 0.15 * spot(x, y, radius * 2)
    return strength * mass
