"""A path of solutions along C: one value after another, or a few at once.

The solution is a smooth curve in log C, so what follows solved values starts close to its minimum.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from embedkit.probing.solver.newton import minimise
from embedkit.probing.solver.objective import Objective, Problems
from embedkit.probing.solver.precondition import ClassBlocks

# So many columns fill a matrix product: with fewer, neighbouring values of C share it.
_WIDE = 32
# A curve through the last solutions is followed where C has grown by no more than this from each to the next.
_SMOOTH = 4.0
# From the solution without coefficients this C is easily found, any other from one that is this factor smaller.
_EASY, _STEP = 1e-3, 10.0
# A preconditioner is renewed when C has grown by this factor.
_AGE = 3.0


@dataclass(frozen=True)
class Path:
    """Solutions of B problems for each C.

    Attributes:
        W: (C, K, B, d) with the intercept last. gap: (C, B), see `embedkit.probing.solver.newton.Found`.
        iterations: (C, B).
    """

    W: np.ndarray
    gap: np.ndarray
    iterations: np.ndarray


def solve_path(objective: Objective, Cs: np.ndarray, start: np.ndarray, family: np.ndarray) -> Path:
    """Minimise for each C.

    Args:
        objective: of B problems. Cs: (C,), rising, all different. start: (K, B, d). family: (B,), problems of one
            number are so alike (folds of one label) that they may share a preconditioner.
    """
    K, B, _d = start.shape
    asked, Cs = Cs, _with_steps(Cs)
    path = Path(np.empty((len(Cs), *start.shape), np.float32), np.empty((len(Cs), B)), np.zeros((len(Cs), B), np.int64))
    blocks: ClassBlocks | None = None
    built, solved = 0.0, list[int]()
    while len(solved) < len(Cs):
        members = _next(Cs, len(solved), K * B < _WIDE)
        starts = [_between(path.W, np.log(Cs), _smooth(Cs, solved, c), c) if solved else start for c in members]
        _solve(objective, Cs, path, members, np.stack(starts), blocks)
        solved += members
        last = members[-1]
        if Cs[last] >= built * _AGE and last + 1 < len(Cs):
            here = Problems(np.arange(B), np.full(B, Cs[last]))
            blocks, built = ClassBlocks(objective, here, objective.at(path.W[last], here), family), Cs[last]
    at = np.searchsorted(Cs, asked)
    return Path(path.W[at], path.gap[at], path.iterations[at])


def _solve(
    objective: Objective,
    Cs: np.ndarray,
    path: Path,
    members: list[int],
    starts: np.ndarray,
    blocks: ClassBlocks | None,
) -> None:
    count, K, B, d = starts.shape
    problems = Problems(np.tile(np.arange(B), count), np.repeat(Cs[members], B))
    W = starts.swapaxes(0, 1).reshape(K, count * B, d)
    found = minimise(objective, problems, W, blocks.preconditioner(problems) if blocks else None)
    path.W[members] = found.W.reshape(K, count, B, d).swapaxes(0, 1)
    path.gap[members] = found.gap.reshape(count, B)
    path.iterations[members] = found.iterations.reshape(count, B)


def _with_steps(Cs: np.ndarray) -> np.ndarray:
    """Return Cs and values between them, and below the first, so that no solution is far from the one before."""
    first = min(_EASY, Cs[0])
    below = np.concatenate([[first], Cs])
    steps = [
        np.geomspace(low, high, int(np.ceil(np.log(high / low) / np.log(_STEP) - 1e-9)), endpoint=False)[1:]
        for low, high in pairwise(below)
        if high > low * _STEP * (1 + 1e-9)
    ]
    return np.unique(np.concatenate([below, *steps]))


def _next(Cs: np.ndarray, first: int, narrow: bool) -> list[int]:
    """Return which values are solved together: the next one, and if narrow those as near to the last solved one."""
    if not narrow or not first:
        return [first]
    near = np.searchsorted(Cs, Cs[first - 1] * _SMOOTH * (1 + 1e-9))
    return list(range(first, max(first + 1, int(near))))


def _smooth(Cs: np.ndarray, solved: list[int], at: int) -> list[int]:
    """Return the last solutions through which a curve may be followed: three, or the last alone."""
    last = [*solved[-3:], at]
    near = len(last) == 4 and (Cs[last[1:]] <= _SMOOTH * Cs[last[:-1]]).all()
    return solved[-3:] if near else solved[-1:]


def _between(W: np.ndarray, x: np.ndarray, known: list[int], at: int) -> np.ndarray:
    """Return the polynomial through the ``known`` solutions at x[at] (Lagrange)."""
    total = np.zeros(W.shape[1:], np.float32)
    for one in known:
        others = [x[other] for other in known if other != one]
        total += W[one] * np.float32(np.prod([(x[at] - other) / (x[one] - other) for other in others]))
    return total
