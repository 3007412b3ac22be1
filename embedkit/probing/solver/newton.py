"""Newton's method for many regularised logistic problems at once, its steps found by conjugate gradients.

Truncated Newton (Dembo and Steihaug 1983) with a backtracking line search: each problem has its own step lengths and
leaves when it has converged; what is left shares the matrix products.
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.objective import Objective, Problems, State
from embedkit.probing.solver.precondition import Preconditioner, diagonal

# Where the solver stops: an estimate of the gap, as a part of the objective, which decides where C is large, and as a
# part of |w|^2 / 2. Where C is small the objective hardly depends on w, but the ranking of images does.
TOLERANCE = 1e-10
RANKING = 1e-9
# Below this part of the objective there is only rounding.
ROUNDING = 1e-15
# An estimate below the first of these that has not halved in a step is rounding too.
STALLED = 1e-8
PATIENCE = 5
_NOISE = 1e-6
STEPS = 50
INNER = 300
# A Newton step is solved to this part of its gradient, in the preconditioner's norm.
FORCING = 0.1
# Closer to the minimum than this, by the estimate, the diagonal hardly changes any more.
NEAR = 1e-5
BACKTRACKS = 20


@dataclass(frozen=True)
class Found:
    """Where each problem ended.

    Attributes:
        W: (K, P, d). gap: (P,), how far the objective lies above its minimum at most, as a part of it: the smaller of
            `gap_bound` and what the last Newton step was to win (half the squared Newton decrement before that step,
            which then lies behind; Boyd and Vandenberghe, Convex Optimization, 9.5).
        iterations: (P,) of conjugate gradients.
    """

    W: np.ndarray
    gap: np.ndarray
    iterations: np.ndarray


def minimise(
    objective: Objective, problems: Problems, W: np.ndarray, preconditioner: Preconditioner | None = None
) -> Found:
    """Minimise from W (K, P, d); the preconditioner is the Hessian's diagonal if None."""
    W = W.astype(np.float32)
    active = np.arange(W.shape[1])
    gap, iterations = np.full(len(active), np.inf), np.zeros(len(active), np.int64)
    stalls = np.zeros(len(active), np.int64)
    decrease, before = np.full(len(active), np.inf), np.full(len(active), np.inf)
    state = objective.at(W, problems)
    for step in range(STEPS + 1):
        gap[active] = np.minimum(gap_bound(state, objective.penalty), decrease[active])
        estimate = gap_estimate(state)
        stalls[active] += (estimate > before[active] / 2) & (estimate < STALLED)
        # What has stalled may take some more steps, until one proves that it has arrived.
        stalled = (stalls[active] > 0) & ((gap[active] < STALLED) | (stalls[active] > PATIENCE))
        before[active] = estimate
        going = (estimate > _tolerance(W[:, active], state, objective.penalty)) & ~stalled
        # A start that looks solved has to prove it by a step.
        going |= (step == 0) & (gap[active] > RANKING)
        if step == STEPS or not going.any():
            break
        if not going.all():
            active, state = active[going], state.at(going)
        here = problems.at(active)
        apply = diagonal(state) if preconditioner is None else _within(preconditioner, active)
        direction, count = _newton_step(objective, here, state, apply)
        iterations[active] += count
        moved = _line_search(objective, here, W[:, active], state, direction)
        W[:, active], state = moved.W, moved.state
        solved = (count < INNER) & (moved.length == 1)
        decrease[active] = np.where(solved, moved.expected / state.value, np.inf)
    return Found(W, gap, iterations)


def gap_estimate(state: State) -> np.ndarray:
    """Return g H^-1 g / 2 as a part of the objective, (P,), with the diagonal in the place of the Hessian H."""
    return np.asarray(0.5 * _dot(state.gradient, state.gradient / state.diagonal) / state.value)


def gap_bound(state: State, penalty: np.ndarray) -> np.ndarray:
    """Return |g|^2 / 2 as a part of the objective, (P,), which its strong convexity makes a bound on the gap.

    The intercept's curvature is the Hessian's diagonal instead: it has no penalty.
    """
    curvature = np.where(penalty > 0, penalty, state.diagonal)
    return np.asarray(0.5 * _dot(state.gradient, state.gradient / curvature) / state.value)


def _tolerance(W: np.ndarray, state: State, penalty: np.ndarray) -> np.ndarray:
    share = 0.5 * _dot(W, W * penalty) / state.value
    return np.asarray(np.clip(RANKING * share, ROUNDING, TOLERANCE))


def _within(preconditioner: Preconditioner, active: np.ndarray) -> Preconditioner:
    return lambda residual, chosen: preconditioner(residual, active[chosen])


def _newton_step(
    objective: Objective, problems: Problems, state: State, apply: Preconditioner
) -> tuple[np.ndarray, np.ndarray]:
    residual = -state.gradient.astype(np.float32)
    step, count = np.zeros_like(residual), np.zeros(residual.shape[1], np.int64)
    active = np.arange(residual.shape[1])
    z = apply(residual, active)
    direction, norm = z, _dot(residual, z)
    enough = FORCING**2 * norm
    for _ in range(INNER):
        product = objective.hessian_times(direction, problems.at(active), state.curvature, active)
        length = (norm / _dot(direction, product)).astype(np.float32)[:, None]
        count[active] += 1
        step[:, active] += length * direction
        residual -= length * product
        z = apply(residual, active)
        before, norm = norm, _dot(residual, z)
        going = norm > enough[active]
        if not going.any():
            break
        direction = z + (norm / before).astype(np.float32)[:, None] * direction
        if not going.all():
            active, norm = active[going], norm[going]
            residual, direction = residual[:, going], direction[:, going]
    return step, count


@dataclass(frozen=True)
class _Moved:
    """A step taken: where to, (K, P, d), the state there, and of each problem the step's length and expected win."""

    W: np.ndarray
    state: State
    length: np.ndarray
    expected: np.ndarray


def _line_search(
    objective: Objective, problems: Problems, W: np.ndarray, state: State, direction: np.ndarray
) -> _Moved:
    slope = _dot(state.gradient, direction)
    near = bool((gap_estimate(state) < NEAR).all())
    length = np.ones(W.shape[1], np.float32)
    for _ in range(BACKTRACKS):
        moved = W + length[:, None] * direction
        new = objective.at(moved, problems, state.diagonal if near else None)
        low = new.value <= state.value + 1e-4 * length * slope
        # The objective is a sum of single-precision losses and hides a small descent, which the gradient shows still
        # (the approximate Wolfe condition of Hager and Zhang 2005).
        low |= (new.value <= state.value * (1 + _NOISE)) & (np.abs(_dot(new.gradient, direction)) <= np.abs(slope))
        if low.all():
            break
        length = np.where(low, length, length / 2).astype(np.float32)
    return _Moved(moved, new, length, -slope / 2)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("kpd,kpd->p", a, b, dtype=np.float64))
