"""Most of the way to a minimum with nothing but values and gradients, by a limited-memory quasi-Newton method.

L-BFGS (Nocedal 1980; Nocedal and Wright, Numerical Optimization, algorithm 7.5), which begins from a preconditioner. A
step reads the embeddings once, where one of Newton's method reads them for each conjugate gradient. It does not say how
far the minimum is: Newton's method goes on from here.
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.newton import dot, largest_change, line_search
from embedkit.probing.solver.objective import Objective, Point, Problems
from embedkit.probing.solver.precondition import Preconditioner
from embedkit.probing.solver.rotation import Axes

_STEPS = 20
_MEMORY = 10
# What has not halved its change in so many steps is left to Newton's method.
_LOOK_BACK = 3


@dataclass(frozen=True)
class _Pair:
    """A step and the change of the gradient along it, (K, P, r + 1), and 1 over their product, (P, 1)."""

    step: np.ndarray
    change: np.ndarray
    inverse: np.ndarray

    def at(self, chosen: np.ndarray) -> "_Pair":
        return _Pair(self.step[:, chosen], self.change[:, chosen], self.inverse[chosen])


def descend(
    objective: Objective,
    hessian: Hessian,
    axes: Axes,
    point: Point,
    preconditioner: Preconditioner,
    enough: np.ndarray,
) -> np.ndarray:
    """Go down from a point of P problems, and return where that leads, W (K, P, d + 1).

    Args:
        enough: (P,), a change of probabilities at which a problem is done.
    """
    W, active = point.W.copy(), np.arange(point.W.shape[1])
    changes = np.full((1, len(active)), np.inf)
    pairs: list[_Pair] = []
    gradient = axes.along(point.state.gradient)
    for _ in range(_STEPS):
        here = point.problems
        if not pairs:
            step = preconditioner.solve(-gradient, here)
            # It may have been made at another C, and its steps be much too long.
            scale = _part(
                -dot(gradient, step), dot(step, hessian.times(step, here, point.state.wrong, np.arange(len(active))))
            )
            step *= scale
        else:
            step = _step(gradient, pairs, preconditioner, scale, here)
        moved = line_search(objective, point, axes.back(step))
        there = moved.point
        W[:, active] = there.W
        last = changes[-1].copy()
        last[active] = largest_change(point.state.wrong, there.state.wrong)
        changes = np.concatenate([changes, last[None]])
        following = axes.along(there.state.gradient)
        pairs = [*pairs[1 - _MEMORY :], _pair(moved.length.astype(np.float32)[:, None] * step, following - gradient)]
        going = last[active] > enough[active]
        if len(changes) > _LOOK_BACK + 1:
            going &= last[active] < changes[-1 - _LOOK_BACK, active] / 2
        if not going.any():
            break
        active, point, gradient, scale = active[going], there.at(going), following[:, going], scale[going]
        pairs = [pair.at(going) for pair in pairs]
    return W


def _pair(step: np.ndarray, change: np.ndarray) -> _Pair:
    return _Pair(step, change, _part(np.ones(step.shape[1]), dot(step, change)))


def _part(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return one over the other, (P, 1), and 0 where rounding has left a curvature that isn't one."""
    part = np.divide(one, other, out=np.zeros_like(other), where=other > 0)
    return np.asarray(part.astype(np.float32)[:, None])


def _step(
    gradient: np.ndarray, pairs: list[_Pair], preconditioner: Preconditioner, scale: np.ndarray, problems: Problems
) -> np.ndarray:
    """Return minus about the inverse Hessians times the gradient."""
    left, along = -gradient, []
    for pair in reversed(pairs):
        along.append(pair.inverse * _column(pair.step, left))
        left -= along[-1] * pair.change
    step = np.asarray(scale * preconditioner.solve(left, problems))
    for pair, length in zip(pairs, reversed(along), strict=True):
        step += (length - pair.inverse * _column(pair.change, step)) * pair.step
    return step


def _column(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(dot(a, b).astype(np.float32)[:, None])
