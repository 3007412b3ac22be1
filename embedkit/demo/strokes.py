"""Everything long and thin: vessels, hairs, fibres, ribs, as lines of changing width."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from embedkit.demo.canvas import SIDE, Plane

_FINER = 3


@dataclass(frozen=True)
class Stroke:
    """A line: points (n, 2) in pixels from the middle of the sheet, and its width at each, (n,)."""

    points: NDArray[np.float64]
    widths: NDArray[np.float64]


def stroke(points: NDArray[np.float64], start: float, end: float | None = None) -> Stroke:
    """Return a stroke whose width goes evenly from `start` to `end` pixels, or stays at `start`."""
    return Stroke(points, np.linspace(start, start if end is None else end, len(points)))


def ink(strokes: Iterable[Stroke]) -> Plane:
    """Return the strokes as a mask (SIDE, SIDE) in 0..1, without stairs at their edges."""
    sheet = Image.new("L", (SIDE * _FINER, SIDE * _FINER))
    pen = ImageDraw.Draw(sheet)
    for line in strokes:
        dots = ((line.points + SIDE / 2) * _FINER).tolist()
        widths = np.maximum(1, np.round(line.widths * _FINER)).astype(int).tolist()
        for (x, y), (to_x, to_y), width in zip(dots, dots[1:], widths, strict=False):
            pen.line((x, y, to_x, to_y), fill=255, width=width)
    return np.asarray(sheet.reduce(_FINER), np.float32) * np.float32(1 / 255)


def wander(
    rng: Generator, start: tuple[float, float], heading: float, length: float, bend: float, unrest: float
) -> NDArray[np.float64]:
    """Return the points (n, 2) of a walk in steps of 3 px.

    Args:
        rng: its chance turns.
        start: where it begins, in pixels from the middle of the sheet.
        heading: its first direction in radians, 0 to the right and pi/2 down.
        length: in pixels.
        bend: radians that it turns by at every step.
        unrest: standard deviation in radians of what chance adds to the turn.
    """
    steps = max(2, round(length / 3))
    headings = heading + np.cumsum(bend + rng.normal(0, unrest, steps))
    path = np.cumsum(3 * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    return np.vstack([np.zeros((1, 2)), path]) + start


def tree(
    rng: Generator,
    start: tuple[float, float],
    heading: float,
    length: float,
    width: float,
    bend: float = 0.0,
    unrest: float = 0.07,
    depth: int = 3,
) -> list[Stroke]:
    """Return a vessel that tapers and gives off branches to alternating sides, as `wander` walks."""
    points = wander(rng, start, heading, length, bend, unrest)
    strokes = [stroke(points, width, width * 0.45)]
    if depth == 0 or width < 0.5:
        return strokes
    side = rng.choice([-1, 1])
    for at in np.cumsum(rng.integers(5, 12, size=len(points))):
        if at >= len(points) - 1:
            break
        along = points[at + 1] - points[at]
        turn = np.arctan2(along[1], along[0]) + side * rng.uniform(0.45, 0.95)
        thin = width * (1 - 0.55 * at / len(points)) * rng.uniform(0.35, 0.6)
        rest = (length - 3 * at) * rng.uniform(0.4, 0.75)
        fork = (float(points[at, 0]), float(points[at, 1]))
        strokes += tree(rng, fork, turn, rest, thin, -side * 0.01, unrest, depth - 1)
        side = -side
    return strokes
