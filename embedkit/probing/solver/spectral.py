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


class Spectral:
    """The diagonal of each class's own block of each problem's Hessian, in axes shared by all.

    It costs next to nothing to be made anew, and holds for any C: what it was made of grows in proportion, the penalty
    stays.

    Args:
        hessian: in the coordinates of the embeddings. family: as in `ClassBlocks`. problems, wrong: all problems at one
            C, where the diagonals are taken.
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
        self.rows = self._rows(_TAKEN)
        self.squares = np.empty((len(self.rows), d), np.float32)

        def rotate(some: slice) -> None:
            along = hessian.features.centred(self.rows[some])[:, :-1] @ self.basis
            np.square(along, out=self.squares[some])

        hessian.blocks.of(len(self.rows)).each(rotate)
        self._take(problems, wrong)
        self.cost = len(np.unique(family)) * hessian.loss.columns * hessian.cost_of_block(d + 1)
        self.patience = int(np.clip(self.cost / (len(problems.C) * hessian.cost_of_product()), FEW, MANY))

    def _rows(self, each: int) -> np.ndarray:
        n = len(self.hessian.features)
        return np.arange(0, n, max(1, n // (each * self.hessian.features.columns)))

    def _take(self, problems: Problems, wrong: list[Array]) -> None:
        hessian, share = self.hessian, np.float32(len(self.hessian.features) / len(self.rows))
        self.C = problems.C[0]
        self.diagonal = np.empty((hessian.loss.columns, len(problems.C), hessian.features.columns), np.float32)
        for p in range(len(problems.C)):
            here, own = problems.at(np.array([p])), [block[:, p : p + 1] for block in wrong]
            for k in range(hessian.loss.columns):
                weight = hessian.weight(k, k, here, own)
                self.diagonal[k, p, :-1] = share * weight[self.rows] @ self.squares
                self.diagonal[k, p, -1] = weight.sum()

    def solve(self, residual: np.ndarray, problems: Problems) -> np.ndarray:
        """As in `Preconditioner`."""
        if len(residual) > 1:
            residual = residual - residual.mean(axis=0)
        scale = (problems.C / self.C).astype(np.float32)[:, None] * self.diagonal[:, problems.base]
        scale[..., :-1] += 1
        step = np.empty_like(residual)
        step[..., :-1] = self._turned(self._turned(residual[..., :-1], self.basis) / scale[..., :-1], self.basis.T)
        # An intercept has no penalty, only the curvature of the rows.
        np.divide(residual[..., -1], scale[..., -1], out=step[..., -1], where=scale[..., -1] > 0)
        return step - step.mean(axis=0) if len(step) > 1 else step

    def _turned(self, coef: np.ndarray, basis: np.ndarray) -> np.ndarray:
        return np.asarray((coef.reshape(-1, len(basis)) @ basis).reshape(coef.shape))

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
