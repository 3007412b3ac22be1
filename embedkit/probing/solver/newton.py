"""Newton's method for many regularised logistic problems at once, its steps found by conjugate gradients.

Truncated Newton (Dembo and Steihaug 1983) with a backtracking line search: each problem has its own step lengths and
leaves when it has converged; what is left shares the matrix products. Values, gradients and solutions are in double
precision, the steps between them in single (iterative refinement: each step has only to be roughly right).
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.arrays import Array, host, library
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.objective import Objective, Point, Problems, penalty
from embedkit.probing.solver.precondition import Preconditioner
from embedkit.probing.solver.rotation import Axes

# A problem has converged when one more step would move no probability of any image by more than what is asked, and w
# by no larger part of its length, nor by more than this part. Where C is small no probability depends on w, but the
# ranking of the images does; where it is large those of the fitted images are certain, those of others are not. Or by
# no more than the second part of the length that the Hessian gives it: by the scores, as the objective depends on them;
# nor the objective by more than what is asked, squared: where classes can be told apart most of it is the penalty.
_RANKING, _SCORES = 1e-4, 3e-5
STEPS = 60
# A step is solved to a part of its gradient, in the preconditioner's norm, that is the smaller the closer it starts.
_FORCING = (0.01, 0.1)
_SAFE = 6.0
_BACKTRACKS = 30


@dataclass(frozen=True)
class Found:
    """Where each problem ended.

    Attributes:
        W: (K, P, d + 1). value, wrong: as in `State`, there. converged: (P,).
        gap: (P,), what one more step would win, as a part of the objective: half the squared Newton decrement of the
            last one (Boyd and Vandenberghe, Convex Optimization, 9.5), shrunk as steps shrink that are solved as well.
        iterations: (P,) of conjugate gradients. steps: until the last had converged. preconditioner: the last one.
    """

    W: np.ndarray
    value: np.ndarray
    wrong: list[Array]
    converged: np.ndarray
    gap: np.ndarray
    iterations: np.ndarray
    steps: int
    preconditioner: Preconditioner


def minimise(
    objective: Objective,
    hessian: Hessian,
    axes: Axes,
    point: Point,
    preconditioner: Preconditioner,
    accuracy: np.ndarray,
) -> Found:
    """Minimise from a point of P problems.

    Args:
        preconditioner: to begin with; a sharper one takes its place when a step needs many iterations.
        accuracy: (P,), of the probabilities, when a problem has converged.
    """
    problems, W, P = point.problems, point.W.copy(), point.W.shape[1]
    converged, gap, iterations = np.zeros(P, bool), np.full(P, np.inf), np.zeros(P, np.int64)
    forcing, used, before = np.full(P, _FORCING[1]), np.full(P, _FORCING[1]), np.zeros(P)
    active, value = np.arange(P), point.state.value.copy()
    wrong = [block[:, active] for block in point.state.wrong]
    steps = 0
    for _ in range(STEPS):
        steps += 1
        inner = preconditioner.patience
        here = point.problems
        downhill = -axes.along(point.state.gradient)
        heavy, wrong_there = hessian.without_light(here, point.state.wrong)
        step, count = _newton_step(heavy, here, wrong_there, downhill, preconditioner, forcing[active], inner)
        if heavy is not hessian:
            hessian.multiply_adds += heavy.multiply_adds
        moved = line_search(objective, point, axes.back(step))
        there = moved.point
        W[:, active] = there.W
        iterations[active] += count
        change = largest_change(point.state.wrong, there.state.wrong)
        last = np.stack([change, moved.expected])
        shrunk = np.divide(change, before[active], out=_SAFE * used[active], where=before[active] > 0)
        safe = np.clip(shrunk / used[active], 1, _SAFE)
        following = last * np.minimum(1, safe * forcing[active]) ** [[1], [2]]
        gap[active] = following[1] / there.state.value
        settled = (moved.length == 1) & (count < inner) & (following[0] <= accuracy[active])
        least = np.minimum(_RANKING, accuracy[active]) ** 2 * penalty(there.W)
        arrived = settled & (following[1] <= np.maximum(least, objective.rounding**2 * there.state.value))
        if (unsure := np.flatnonzero(settled & ~arrived)).size:
            length = heavy.energy(axes.along(there.W[:, unsure]), here.at(unsure), wrong_there, unsure)
            asked = accuracy[active[unsure]]
            least = np.minimum(np.minimum(_SCORES, asked) ** 2 * length, asked**2 * there.state.value[unsure])
            arrived[unsure] = following[1][unsure] <= least
        before[active], used[active] = change, forcing[active]
        wanted = np.divide(accuracy[active], safe * following[0], out=np.zeros_like(change), where=following[0] > 0)
        forcing[active] = np.clip(np.maximum(wanted, following[0]), *_FORCING)
        value[active] = there.state.value
        for whole, part in zip(wrong, there.state.wrong, strict=True):
            whole[:, active] = part
        converged[active] = arrived
        if arrived.all():
            break
        if (hard := active[count == inner]).size:
            preconditioner = preconditioner.sharper(problems, wrong, hard)
        active, point = active[~arrived], there.at(~arrived)
    return Found(W, value, wrong, converged, gap, iterations, steps, preconditioner)


def largest_change(before: list[Array], after: list[Array]) -> np.ndarray:
    """Return by how much the probability of a class moved, at most over all rows, (P,)."""
    moved = [abs(new - old).sum(axis=0) for old, new in zip(before, after, strict=True)]
    changes = [host(library(one).amax(one, axis=1)) for one in moved]
    return np.asarray(np.max(changes, axis=0))


def _newton_step(
    hessian: Hessian,
    problems: Problems,
    wrong: list[Array],
    residual: np.ndarray,
    preconditioner: Preconditioner,
    forcing: np.ndarray,
    inner: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return about the inverse Hessians times ``residual`` (K, P, r + 1), overwritten, and how many iterations."""
    step, count = np.zeros_like(residual), np.zeros(residual.shape[1], np.int64)
    active = np.arange(residual.shape[1])
    z = preconditioner.solve(residual, problems)
    direction, norm = z, dot(residual, z)
    enough = forcing**2 * norm
    for _ in range(inner):
        product = hessian.times(direction, problems.at(active), wrong, active)
        curved = dot(direction, product)
        # A gradient that is 0 already has no direction.
        length = np.divide(norm, curved, out=np.zeros_like(norm), where=curved > 0).astype(np.float32)[:, None]
        count[active] += 1
        step[:, active] += length * direction
        residual -= length * product
        z = preconditioner.solve(residual, problems.at(active))
        before, norm = norm, dot(residual, z)
        going = norm > enough[active]
        if not going.any():
            break
        direction = (
            z
            + np.divide(norm, before, out=np.zeros_like(norm), where=before > 0).astype(np.float32)[:, None] * direction
        )
        if not going.all():
            active, norm = active[going], norm[going]
            residual, direction = residual[:, going], direction[:, going]
    return step, count


@dataclass(frozen=True)
class Moved:
    """A step taken: where to, and of each problem its length and what it was expected to win, (P,)."""

    point: Point
    length: np.ndarray
    expected: np.ndarray


def line_search(objective: Objective, point: Point, direction: np.ndarray) -> Moved:
    """Go from a point along a direction (K, P, d + 1), half as far where that is not lower, and so on."""
    problems, state = point.problems, point.state
    slope = dot(state.gradient, direction)
    length = np.ones(direction.shape[1])
    for _ in range(_BACKTRACKS):
        W = point.W + length[:, None] * direction
        new = objective.at(W, problems)
        low = new.value <= state.value * (1 + objective.rounding) + 1e-4 * length * slope
        if low.all():
            break
        length = np.where(low, length, length / 2)
    return Moved(Point(problems, W, new), length, -slope / 2)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the products of vectors (K, P, d + 1) of each problem, (P,)."""
    return np.asarray(np.einsum("kpd,kpd->p", a, b, dtype=np.float64))
