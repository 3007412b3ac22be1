"""The preconditioner of many rows for each feature: a diagonal in the principal axes of the embeddings.

Where nothing is certain yet all rows weigh the same, and the Hessian is diagonal there. Later, where the embeddings are
normally distributed, it is but for the direction of the coefficients (Stein's lemma), which one step finds.
"""

from copy import copy

import numpy as np

from embedkit.probing.solver.arrays import Array
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.objective import Problems
from embedkit.probing.solver.precondition import FEW, MANY, WORTH, ClassBlocks, Preconditioner

# Rows for each coordinate that axes are found on, and that a diagonal along them is taken of.
_FOUND, _TAKEN = 16, 8
# And at least, all of those of a smaller set, so that a rare label is among them.
_LEAST = 8192


class Spectral:
    """The diagonal of the Hessian of each problem of one label, in axes shared by all, about the mean of its weights.

    It costs next to nothing to be made anew, and holds for any C: what it was made of grows in proportion, the penalty
    stays.

    Args:
        hessian: of a `Sigmoid`, in the coordinates of the embeddings. family: as in `ClassBlocks`. problems, wrong: all
            problems at one C, where the diagonals are taken.
    """

    def __init__(self, hessian: Hessian, family: np.ndarray, problems: Problems, wrong: list[Array]) -> None:
        from scipy.linalg import eigh

        self.hessian, self.family = hessian, family
        d = hessian.features.columns - 1
        rows = self._rows(_FOUND)

        def centred(some: slice) -> np.ndarray:
            return hessian.features.centred(rows[some])[:, :-1]

        gram = hessian.blocks.of(len(rows)).gram(centred, d)
        self.basis = eigh(gram, lower=True, driver="evd", check_finite=False, overwrite_a=True)[1]
        self.rows = self._rows(max(_TAKEN, _LEAST // (d + 1)))
        self.along = np.empty((len(self.rows), d), np.float32)

        def rotate(some: slice) -> None:
            np.matmul(hessian.features.centred(self.rows[some])[:, :-1], self.basis, out=self.along[some])

        hessian.blocks.of(len(self.rows)).each(rotate)
        self._take(problems, wrong)
        self.cost = len(np.unique(family)) * hessian.loss.columns * hessian.cost_of_block(d + 1)
        self.patience = int(np.clip(self.cost / (len(problems.C) * hessian.cost_of_product()), FEW, MANY))

    def _rows(self, each: int) -> np.ndarray:
        n = len(self.hessian.features)
        return np.arange(0, n, max(1, n // (each * self.hessian.features.columns)))

    def _take(self, problems: Problems, wrong: list[Array]) -> None:
        hessian, P = self.hessian, len(problems.C)
        self.C = problems.C[0]
        weights = np.stack(
            [
                hessian.weight(0, 0, problems.at(np.array([p])), [block[:, p : p + 1] for block in wrong])
                for p in range(P)
            ]
        )
        self.total = weights.sum(axis=1)
        taken = weights[:, self.rows]
        sums = taken.sum(axis=1, keepdims=True)
        self.mean = np.divide(taken @ self.along, sums, out=np.zeros((P, len(self.basis)), np.float32), where=sums > 0)
        squares = taken @ np.square(self.along) - sums * self.mean**2
        self.spread = np.maximum(squares, 0) * np.float32(len(hessian.features) / len(self.rows))

    def solve(self, residual: np.ndarray, problems: Problems) -> np.ndarray:
        """As in `Preconditioner`."""
        base, grown = problems.base, (problems.C / self.C).astype(np.float32)
        mean, total = self.mean[base], self.total[base] * grown
        intercept = residual[0, :, -1]
        turned = residual[0, :, :-1] @ self.basis - intercept[:, None] * mean
        turned /= 1 + grown[:, None] * self.spread[base]
        step = np.empty_like(residual)
        np.matmul(turned, self.basis.T, out=step[0, :, :-1])
        # An intercept has no penalty, only the curvature of the rows; it counts from where these are.
        found = np.divide(intercept, total, out=np.zeros_like(intercept), where=total > 0)
        step[0, :, -1] = found - np.einsum("pd,pd->p", mean, turned)
        return step

    def sharper(self, problems: Problems, wrong: list[Array], hard: np.ndarray) -> Preconditioner:
        """As in `Preconditioner`: blocks of each class."""
        last = np.flatnonzero(np.isclose(problems.C, problems.C.max()))
        return ClassBlocks(self.hessian, self.family, problems.at(last), [block[:, last] for block in wrong], False)

    def renewed(self, problems: Problems, wrong: list[Array], spent: float) -> Preconditioner:
        """As in `Preconditioner`."""
        if spent > WORTH * self.cost:
            return ClassBlocks(self.hessian, self.family, problems, wrong, False)
        found = copy(self)
        found._take(problems, wrong)
        return found
