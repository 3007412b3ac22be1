"""A path of solutions along C, a few neighbouring values at a time.

The solution is a smooth curve in log C, so what follows solved values starts close to its minimum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from embedkit.probing.solver.descent import descend
from embedkit.probing.solver.features import over_classes
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.newton import minimise
from embedkit.probing.solver.objective import Objective, Point, Problems, penalty
from embedkit.probing.solver.precondition import ClassBlocks, Preconditioner
from embedkit.probing.solver.rotation import Axes
from embedkit.probing.solver.spectral import Spectral

# Values of C up to so many times the last solved one are solved together, if that makes no more columns than these:
# a product of few columns is slow, and of many no faster. Up to more times where the last ones needed few steps.
_NEAR, _FAR = 4.0, 10.0
_WIDE = 256
_FEW_STEPS = 2
# A curve through the last solutions is followed where C has grown by no more than this from each to the next.
_SMOOTH = 4.0
_CURVE = 4
# Solutions that are only on the way need no more accurate probabilities.
_ROUGH = 1e-2
# From the solution without coefficients this C is easily found, or where there are many rows for each feature this over
# their number; any other from one that is this factor smaller.
_EASY, _EASY_ROWS, _STEP = 1e-3, 2000.0, 10.0


@dataclass(frozen=True)
class Solved:
    """Solutions of B problems at one C.

    Attributes:
        C: of the grid. W: (K, B, d + 1), double precision, the intercept last, of centred embeddings. converged, gap,
            iterations: (B,), see `embedkit.probing.solver.newton.Found`.
    """

    C: float
    W: np.ndarray
    converged: np.ndarray
    gap: np.ndarray
    iterations: np.ndarray


@dataclass(frozen=True)
class Known:
    """Solutions at one C, (K, B, d + 1), and the objectives there, (B,)."""

    C: float
    W: np.ndarray
    value: np.ndarray

    def value_at(self, C: np.ndarray) -> np.ndarray:
        """Return the objectives of the same solutions at other C, (P,), P a multiple of B."""
        fixed = penalty(self.W)
        return np.asarray(C / self.C * np.resize(self.value - fixed, len(C)) + np.resize(fixed, len(C)))


def solve_path(
    objective: Objective,
    hessian: Hessian,
    axes: Axes,
    Cs: np.ndarray,
    start: np.ndarray,
    family: np.ndarray,
    accuracy: float,
    rough: Objective | None = None,
) -> Iterator[Solved]:
    """Minimise for each C.

    Args:
        objective, hessian: of B problems. axes: of the Hessian. Cs: (C,), rising, all different. start: (K, B, d + 1).
        family: (B,), problems of one number are so alike (folds of one label) that they share a preconditioner.
        accuracy: of the probabilities. rough: the objective in single precision, which leads most of the way; None
            where it costs much more than products with the Hessian.
    """
    K, B, _d = start.shape
    every = np.arange(B)
    tall = axes.basis is None
    grid = _with_steps(Cs, max(_EASY, _EASY_ROWS / len(hessian.features)) if tall else _EASY)
    first = Problems(every, np.full(B, grid[0]))
    guide = rough or objective
    point = Point(first, start, guide.at(start, first))
    known: Preconditioner = (
        Spectral(hessian, family, first, point.state.wrong)
        if tall and K == 1
        else ClassBlocks(hessian, family, first, point.state.wrong, rotated=not tall, early=True)
    )
    solved: list[Known] = []
    while len(grid):
        reach = _NEAR if guide is objective else _FAR
        close = np.searchsorted(grid, solved[-1].C * reach * (1 + 1e-9)) if solved else 1
        together, grid = np.split(grid, [int(np.clip(close, 1, max(1, _WIDE // (K * B))))])
        problems = Problems(np.tile(every, len(together)), np.repeat(together, B))
        if solved:
            point = _better_start(guide, problems, solved)
        wanted = np.where(np.isin(problems.C, Cs), accuracy, _ROUGH)
        before = hessian.multiply_adds + guide.multiply_adds
        if guide is not objective:
            W = descend(guide, hessian, axes, point, known, wanted)
            point = Point(problems, W, objective.at(W, problems))
        found = minimise(objective, hessian, axes, point, known, wanted)
        for number, C in enumerate(together):
            own = np.arange(number * B, (number + 1) * B)
            solved = [*solved[1 - _CURVE :], Known(C, found.W[:, own], found.value[own])]
            if C in Cs:
                yield Solved(C, found.W[:, own], found.converged[own], found.gap[own], found.iterations[own])
        if len(grid):
            spent = hessian.multiply_adds + guide.multiply_adds - before
            known = found.preconditioner.renewed(problems.at(own), [block[:, own] for block in found.wrong], spent)
        if found.steps > _FEW_STEPS:
            # The way without a Hessian, or single precision, leads too little further.
            guide = objective


def _better_start(objective: Objective, problems: Problems, solved: list[Known]) -> Point:
    """Return a point on the curve, or the last solution where it is better.

    A curve leads far astray where a class can just be told apart from the others: its coefficients begin to grow.
    """
    W = np.concatenate([_continued(solved, C) for C in np.unique(problems.C)], axis=1)
    # Scores don't show that a sum over the classes has left 0, and what rounding adds to it would grow along the path.
    W = over_classes(W[: objective.loss.free], len(W))
    state = objective.at(W, problems)
    if not (astray := state.value > solved[-1].value_at(problems.C)).any():
        return Point(problems, W, state)
    last = solved[-1].W
    W = np.where(astray[:, None], last[:, np.arange(W.shape[1]) % last.shape[1]], W)
    return Point(problems, W, objective.at(W, problems))


def _with_steps(Cs: np.ndarray, easy: float) -> np.ndarray:
    """Return Cs and values between them, from an easy one on, so that no solution is far from the one before."""
    first = min(easy, Cs[0])
    below = np.concatenate([[first], Cs])
    steps = [
        np.geomspace(low, high, int(np.ceil(np.log(high / low) / np.log(_STEP) - 1e-9)), endpoint=False)[1:]
        for low, high in pairwise(below)
        if high > low * _STEP * (1 + 1e-9)
    ]
    return np.unique(np.concatenate([below, *steps]))


def _continued(solved: list[Known], C: float) -> np.ndarray:
    """Return the polynomial in log C through the last solutions (Lagrange), as far back as C rose in small steps."""
    values = np.array([known.C for known in solved] + [C])
    jumps = np.flatnonzero(values[1:] > _SMOOTH * (1 + 1e-9) * values[:-1])
    first = min(jumps[-1] + 1 if len(jumps) else 0, len(solved) - 1)
    x = np.log(values[first:])
    total = np.zeros_like(solved[0].W)
    for one, known in enumerate(solved[first:]):
        others = [other for other in range(len(x) - 1) if other != one]
        total += known.W * np.prod([(x[-1] - x[other]) / (x[one] - x[other]) for other in others])
    return total
