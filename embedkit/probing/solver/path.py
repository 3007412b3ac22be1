"""A path of solutions along C: a few values one after another, each starting the next, and then those between them.

The solution is a smooth curve in log C, so what follows solved values, or lies between them, starts close to its
minimum.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from embedkit.probing.solver.newton import minimise
from embedkit.probing.solver.objective import Objective, Problems
from embedkit.probing.solver.precondition import ClassBlocks

# So many columns fill a matrix product: with fewer, every other C waits for those around it and shares theirs.
_WIDE = 32
# From one rung of a narrow path to the next C grows by this factor at most where the grid allows.
_RUNG = 10**0.5
# A curve through the last solutions is followed where C has grown by no more than this from each to the next.
_SMOOTH = 4.0
# From the solution without coefficients this C is easily found, any other from one that is this factor smaller.
_EASY, _STEP = 1e-3, 10.0
# A preconditioner is renewed when C has grown by this factor.
_AGE = 5.0
_BUILD = 10


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
    K, B, d = start.shape
    asked, Cs = Cs, _with_steps(Cs)
    path = Path(np.empty((len(Cs), *start.shape), np.float32), np.empty((len(Cs), B)), np.zeros((len(Cs), B), np.int64))
    rungs = _rungs(Cs, _RUNG if K * B < _WIDE else 1.0)
    columns = max(K * B, d // 4)
    blocks: ClassBlocks | None = None
    built, own, solved = 0.0, False, list[int]()
    for number, rung in enumerate(rungs):
        W = start if number == 0 else _between(path.W, np.log(Cs), _smooth(Cs, solved, rung), rung)
        _solve(objective, Cs, path, [rung], W[None], blocks)
        solved.append(rung)
        between = range(rungs[number - 1] + 1 if number else 0, rung)
        wave = max(1, columns // (K * B))
        nearest = solved[-4:]
        for first in range(between.start, between.stop, wave):
            members = list(range(first, min(first + wave, between.stop)))
            starts = np.stack([_between(path.W, np.log(Cs), nearest, c) for c in members])
            _solve(objective, Cs, path, members, starts, blocks)
        steps = path.iterations[rung].mean()
        ahead = max((Cs[rung + 1 :] <= Cs[rung] * _AGE * (1 + 1e-9)).sum(), rung + 1 < len(Cs))
        # A class's block costs as many multiplications as some d / 4 steps of one problem to set up. Folds share it
        # until that would also pay for each of them: where few rows are uncertain, these are not the same ones.
        own = own or (blocks is not None and steps * ahead > d / 2)
        if (Cs[rung] >= built * _AGE and steps * B * ahead > d / _BUILD) or (own and ahead and steps > d / 4):
            here = Problems(np.arange(B), np.full(B, Cs[rung]))
            shared = np.arange(B) if own else family
            blocks, built = ClassBlocks(objective, here, objective.at(path.W[rung], here), shared), Cs[rung]
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


def _rungs(Cs: np.ndarray, factor: float) -> list[int]:
    rungs = [0]
    for number in range(1, len(Cs)):
        last = number + 1 == len(Cs)
        if last or Cs[number + 1] > Cs[rungs[-1]] * factor * (1 + 1e-9):
            rungs.append(number)
    return rungs


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
