"""Preconditioners: what the residual is multiplied with so that conjugate gradients need few steps.

A softmax does not change when all classes' scores move together, so its solutions add to zero over the classes. A
preconditioner that is not projected onto that subspace leaves it, and the steps multiply.
"""

from collections.abc import Callable

import numpy as np

from embedkit.probing.solver.objective import Objective, Problems, State

# The axes along which most of the Hessian is; along the others its diagonal will do.
LEADING = 512
Preconditioner = Callable[[np.ndarray, np.ndarray], np.ndarray]


def diagonal(state: State) -> Preconditioner:
    """Return the inverse of the Hessian's diagonal on residuals (K, P, d) of the problems ``active`` (P,)."""
    inverse = 1 / state.diagonal

    def apply(residual: np.ndarray, active: np.ndarray) -> np.ndarray:
        scale = inverse[:, active]
        step = scale * residual
        if len(step) > 1:
            step -= scale * (step.sum(axis=0) / scale.sum(axis=0))
        return np.asarray(step)

    return apply


class ClassBlocks:
    """Each class's own block of the Hessian, shared by the folds and by neighbouring values of C.

    Args:
        objective, problems, state: where the blocks are taken. family: (B,), problems of one number share a block.
    """

    def __init__(self, objective: Objective, problems: Problems, state: State, family: np.ndarray) -> None:
        from scipy.linalg import cholesky
        from scipy.linalg.lapack import strtri

        self.family = family
        columns = objective.loss.columns
        self.first = first = max(0, objective.Z.shape[1] - LEADING)
        d = objective.Z.shape[1] - first
        self.tail = 1 / state.diagonal[..., :first].mean(axis=1)
        jitter = np.float32(d * np.finfo(np.float32).eps)

        def block_of(item: tuple[int, int]) -> np.ndarray:
            number, k = item
            chosen = np.flatnonzero(family[problems.base] == number)
            return objective.class_hessian(k, problems, state, chosen, first)

        def factor(block: np.ndarray) -> np.ndarray:
            scale = 1 / np.sqrt(block.diagonal())
            block *= scale
            block *= scale[:, None]
            block[np.diag_indices(d)] += jitter
            lower = cholesky(block, lower=True, overwrite_a=True, check_finite=False)
            # Two products with the inverse are several times faster than two triangular solves of few columns, and
            # such a square is positive definite whatever its rounding.
            root: np.ndarray = strtri(lower, lower=1, overwrite_c=1)[0]
            root *= scale
            return root

        keys = [(int(number), k) for number in np.unique(family[problems.base]) for k in range(columns)]
        self.roots = dict(zip(keys, objective.blocks.map(factor, map(block_of, keys)), strict=True))
        self.blocks = objective.blocks

    def preconditioner(self, problems: Problems) -> Preconditioner:
        """Return the inverse of the blocks on residuals (K, P, d) of some of these problems."""

        def apply(residual: np.ndarray, active: np.ndarray) -> np.ndarray:
            family = self.family[problems.base[active]]
            if len(residual) > 1:
                residual = residual - residual.mean(axis=0)
            step, first = np.empty_like(residual), self.first
            step[..., :first] = residual[..., :first] * self.tail[:, None]

            def solve(key: tuple[int, int]) -> None:
                number, k = key
                chosen = family == number
                if chosen.any():
                    root = self.roots[key]
                    step[k, chosen, first:] = (residual[k, chosen, first:] @ root.T) @ root

            for _ in self.blocks.map(solve, self.roots):
                pass
            return step - step.mean(axis=0) if len(step) > 1 else step

        return apply
