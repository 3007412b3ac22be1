"""The preconditioner: what the residual is multiplied with so that conjugate gradients need few steps.

A softmax does not change when all classes' scores move together, so its solutions add to zero over the classes. A
preconditioner that is not projected onto that subspace leaves it, and the steps multiply.
"""

from typing import Protocol

import numpy as np

from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.objective import Problems

# In principal axes: those along which most of the Hessian is. Along the others its diagonal will do.
_LEADING = 512


class Preconditioner(Protocol):
    """About the inverse of Hessians."""

    def solve(self, residual: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Return it times residuals (K, P, d + 1) of problems of these rows of the weights (P,)."""
        ...


class ClassBlocks:
    """Each class's own block of the Hessian, inverted, and shared by the folds and by neighbouring values of C.

    Args:
        hessian, problems, wrong: where the blocks are taken, at one C. family: (B,), of each row of the weights: those
            of one number share blocks. rotated: the coordinates are principal axes, by rising variance.
    """

    def __init__(
        self, hessian: Hessian, family: np.ndarray, problems: Problems, wrong: list[np.ndarray], rotated: bool
    ) -> None:
        self.family, self.pool = family, hessian.blocks
        self.first = max(0, hessian.features.columns - _LEADING) if rotated else 0
        keys = [(int(number), k) for number in np.unique(family[problems.base]) for k in range(hessian.loss.columns)]
        of = family[problems.base]

        def block_of(key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
            chosen = of == key[0]
            some = [block[:, chosen] for block in wrong]
            return hessian.of_class(key[1], problems.at(chosen), some, self.first)

        roots = hessian.blocks.map(_root, map(block_of, keys))
        self.roots = dict(zip(keys, roots, strict=True))

    def solve(self, residual: np.ndarray, base: np.ndarray) -> np.ndarray:
        """As in `Preconditioner`."""
        family, first = self.family[base], self.first
        if len(residual) > 1:
            residual = residual - residual.mean(axis=0)
        step = np.empty_like(residual)

        def one(key: tuple[int, int]) -> None:
            number, k = key
            chosen = family == number
            if chosen.any():
                root, tail = self.roots[key]
                step[k, chosen, :first] = residual[k, chosen, :first] * tail
                step[k, chosen, first:] = (residual[k, chosen, first:] @ root.T) @ root

        for _ in self.pool.map(one, self.roots):
            pass
        return step - step.mean(axis=0) if len(step) > 1 else step


class Whole:
    """The Hessian of all classes, which says also how they depend on each other; parameters as in `ClassBlocks`."""

    def __init__(self, hessian: Hessian, family: np.ndarray, problems: Problems, wrong: list[np.ndarray]) -> None:
        from scipy.linalg import cho_factor

        self.family, self.factors = family, {}
        of = family[problems.base]
        for number in np.unique(of):
            chosen = of == number
            some = [block[:, chosen] for block in wrong]
            factor, lower = cho_factor(hessian.whole(problems.at(chosen), some), overwrite_a=True)
            # What it is made of needs double precision, what it does does not.
            self.factors[int(number)] = factor.astype(np.float32), lower

    def solve(self, residual: np.ndarray, base: np.ndarray) -> np.ndarray:
        """As in `Preconditioner`."""
        from scipy.linalg import cho_solve

        family, (K, _P, d) = self.family[base], residual.shape
        step = np.empty_like(residual)
        for number, factor in self.factors.items():
            chosen = family == number
            if chosen.any():
                flat = residual[:, chosen].swapaxes(1, 2).reshape(K * d, -1)
                step[:, chosen] = cho_solve(factor, flat, check_finite=False).reshape(K, d, -1).swapaxes(1, 2)
        return step - step.mean(axis=0) if K > 1 else step


def _root(item: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of the block's lower Cholesky factor, and that of the rest of the diagonal."""
    from scipy.linalg.lapack import strtri

    block, diagonal = item
    d = len(block)
    scale = 1 / np.sqrt(block.diagonal())
    block *= scale
    block *= scale[:, None]
    block[np.diag_indices(d)] += np.float32(d * np.finfo(np.float32).eps)
    # Two products with the inverse are several times faster than two triangular solves of few columns, and such a
    # square is positive definite whatever its rounding.
    root: np.ndarray = strtri(np.linalg.cholesky(block).T, lower=0)[0].T
    root *= scale
    return root, (1 / diagonal[: len(diagonal) - d]).astype(np.float32)
