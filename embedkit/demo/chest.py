"""Chest X-ray phantom: lungs, heart, ribs and vessels; its lesion is a patchy opacity in one lung."""

import numpy as np
from numpy.random import Generator

from embedkit.demo.canvas import Pixels, Plane, X, Y, clouds, develop, look, soft, spot
from embedkit.demo.strokes import Stroke, ink, stroke, tree


def draw(rng: Generator, lesion: bool) -> Plane:
    """Return the chest of one phantom patient, (SIDE, SIDE) in 0..1, bright where it is dense."""
    half, top, base = rng.uniform(78, 90), rng.uniform(-88, -76), rng.uniform(52, 70)
    heart = rng.uniform(34, 46)
    lungs = _lung(rng, -1, half, top, base + rng.uniform(-8, -2)) + _lung(rng, 1, half, top, base)
    body = soft(np.abs(X) - (half + 26 + 14 * soft(-60 - Y, 12)), 3)
    neck = soft(np.abs(X) - 28 - np.clip(Y + 118, 0, None) * 3.2, 3)
    image = body * (0.66 + 0.03 * clouds(rng, 80)) * (0.25 + 0.75 * neck)
    image = image - lungs * (0.40 + 0.03 * clouds(rng, 40, 2))

    spine = soft(np.abs(X) - 8, 3)
    discs = np.cos(2 * np.pi * Y / rng.uniform(13, 16))
    image = image + spine * (0.12 + 0.02 * discs)
    dense = np.maximum.reduce(
        [
            soft(np.abs(X) - 13 - 0.05 * np.clip(Y + 60, 0, None), 3),
            soft(_ellipse(13, top + 34, 10, 11, 0) * 10, 2),
            soft(_ellipse(heart * 0.35, base - heart * 0.75, heart * 0.8, heart * 1.15, 0.6) * heart, 2.5),
            soft(_ellipse(-8, base - 28, heart * 0.42, heart * 0.8, 0) * heart * 0.5, 2.5),
        ]
    )
    image = image + dense * (0.30 * lungs + 0.05)

    vessels = ink(_vessels(rng)) * lungs * (1 - dense)
    image = image + 0.10 * vessels + 0.10 * lungs * (spot(-22, -18, 11) + spot(22, -22, 10))
    if lesion:
        image = image + lungs * _opacity(rng, half, top, base) * np.clip(0.78 - image, 0, None)
    image = image + _bones(rng, half, top) * body * (0.35 + 0.65 * lungs)
    marker = ink([stroke(np.array(_LETTER) * 4 + (-half - 12, top - 16), 1.4)])
    film: Plane = np.clip(image, 0.02, 1) * (1 - marker) + 0.95 * marker
    return film


def photograph(sheet: Plane, rng: Generator) -> Pixels:
    """Return one radiograph of the chest, (SIZE, SIZE)."""
    return develop(look(sheet, rng, shift=6, turn=3, zoom=0.05), rng, exposure=0.10, grain=0.012)


_LETTER = ((0.0, 2.0), (0.0, 0.0), (1.0, 0.0), (1.2, 0.5), (1.0, 1.0), (0.0, 1.0), (0.5, 1.0), (1.2, 2.0))
"""The R that marks the patient's right side."""


def _lung(rng: Generator, side: int, half: float, top: float, base: float) -> Plane:
    out = X * side
    fall = np.clip((Y - top) / (base - top), 0, 1)
    wall = half * (0.42 + 0.58 * np.sin(np.pi / 2 * np.clip(fall * 1.5, 0, 1) ** 0.8))
    dome = base + 0.009 * (out - half * 0.5) ** 2 + rng.uniform(-2, 2)
    outline = np.maximum.reduce([out - wall, 10 - out, (Y - dome) * 0.8, (top - Y) + 0.012 * (out - 34) ** 2])
    return soft(outline, 2.0)


def _ellipse(x: float, y: float, across: float, down: float, tilt: float) -> Plane:
    along = (X - x) * np.cos(tilt) - (Y - y) * np.sin(tilt)
    other = (X - x) * np.sin(tilt) + (Y - y) * np.cos(tilt)
    distance: Plane = np.hypot(along / across, other / down) - 1
    return distance


def _bones(rng: Generator, half: float, top: float) -> Plane:
    t = np.linspace(0, 1, 24)
    pitch, slope = rng.uniform(15.0, 17.5), rng.uniform(20, 30)
    back, front, collar = [], [], []
    for side in (-1, 1):
        for index in range(10):
            y = top + pitch * index
            reach = half * (0.55 + 0.46 * np.sin(np.pi / 2 * min(1, (index + 1) / 5)))
            arch = y - 12 * np.sin(np.pi * t**0.8) + slope * t**2.2
            back.append(np.stack([side * (8 + (reach - 8) * np.sin(np.pi / 2 * t)), arch], axis=1))
            bow = y + slope + 26 * t + 4 * np.sin(np.pi * t)
            front.append(np.stack([side * (reach - reach * 0.55 * t**1.5), bow], axis=1))
        dip = top + 16 - 24 * t + 4 * np.sin(2 * np.pi * t)
        collar.append(np.stack([side * (8 + (half - 2) * t), dip], axis=1))
    hollow = ink(stroke(points, 3.4) for points in back)
    bones: Plane = (
        0.10 * ink(stroke(points, 6.0) for points in back)
        - 0.035 * hollow
        + 0.035 * ink(stroke(points, 5.0, 6.5) for points in front)
        + 0.10 * ink(stroke(points, 6.0) for points in collar)
    )
    return bones


def _vessels(rng: Generator) -> list[Stroke]:
    strokes: list[Stroke] = []
    for side in (-1, 1):
        for angle in (-1.2, -0.6, 0.0, 0.5, 1.0):
            heading = np.arctan2(np.sin(angle), side * np.cos(angle)) + rng.normal(0, 0.1)
            strokes += tree(rng, (side * 18.0, -18.0), heading, rng.uniform(55, 80), 3.6, 0.0, 0.06)
    return strokes


def _opacity(rng: Generator, half: float, top: float, base: float) -> Plane:
    total = np.zeros_like(X)
    for _ in range(rng.integers(1, 4)):
        x = int(rng.choice((-1, 1))) * half * rng.uniform(0.4, 0.75)
        y = rng.uniform(top + 45, base - 12)
        total = np.maximum(total, spot(x, y, rng.uniform(15, 30)) * rng.uniform(0.6, 1))
    opacity: Plane = rng.uniform(0.5, 0.9) * total * np.clip(0.8 + 0.45 * clouds(rng, 22, 4), 0, 1.5)
    return opacity
