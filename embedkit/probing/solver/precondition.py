"""The preconditioner: what the residual is multiplied with so that conjugate gradients need few steps.

A softmax does not change when all classes' scores move together, so its solutions add to zero over the classes. A
preconditioner that is not projected onto that subspace leaves it, and the steps multiply.
"""

from copy import copy
from typing import Protocol

import numpy as np

from embedkit.probing.solver.arrays import Array
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.objective import Problems

# In principal axes: those along which most of the Hessian is. Along the others its diagonal will do.
_LEADING = 512
# Weights of rows that differ by no more than this part of the largest make the same block.
_ALIKE = 1e-3
# Up to so many unknowns the whole Hessian of all classes may be factorised, where that is less work than iterating.
_FACTORED = 6000
# Conjugate gradients for one step, for which one more preconditioner is made: at least, where no image was certain when
# this one was made, which is soon of no use; later; and where none follows.
FEW, MANY, _MOST = 8, 30, 500
# So few vectors are multiplied with a matrix of thousands sooner one by one than together, which copies it.
_VECTORS = 4
# Rows of a root that stay in a processor's own cache between the two products.
_PART = 64
# Blocks are made anew when the products since have cost so many times as much; the whole takes their place, and is made
# anew, when those at one C have cost this part of it.
WORTH, _SOON = 2.0, 1.0
# A product of one column is so many times slower than a factorisation, for each of its multiply-adds.
_SLOW = 16


class Preconditioner(Protocol):
    """About the inverse of Hessians; ``patience``: conjugate gradients for one step that call for a sharper one."""

    patience: int

    def solve(self, residual: np.ndarray, problems: Problems) -> np.ndarray:
        """Return it times residuals (K, P, d + 1) of these problems."""
        ...

    def sharper(self, problems: Problems, wrong: list[Array], hard: np.ndarray) -> "Preconditioner":
        """Return one that is nearer, at these problems and their probabilities; `hard`: which took too many steps."""
        ...

    def renewed(self, problems: Problems, wrong: list[Array], spent: float) -> "Preconditioner":
        """Return one for larger C, made at these problems of one C, where the multiply-adds `spent` on it pay that."""
        ...


class ClassBlocks:
    """Each class's own block of the Hessian, inverted, and shared by the folds and by neighbouring values of C.

    Args:
        hessian, problems, wrong: where the blocks are taken, at one C. family: (B,), of each row of the weights: those
            of one number share blocks. rotated: the coordinates are principal axes, by rising variance. early: no
            image is certain yet.
    """

    def __init__(
        self,
        hessian: Hessian,
        family: np.ndarray,
        problems: Problems,
        wrong: list[Array],
        rotated: bool,
        early: bool = False,
    ) -> None:
        self.hessian, self.family, self.rotated, self.pool = hessian, family, rotated, hessian.blocks
        self.early, self.patience = early, MANY if hessian.unknowns <= _FACTORED else _MOST
        self.first = max(0, hessian.features.columns - _LEADING) if rotated else 0
        of, weights = family[problems.base], dict[tuple[int, int], np.ndarray]()
        for number in np.unique(of).tolist():
            here, some = problems.at(of == number), [block[:, of == number] for block in wrong]
            weights |= {(number, k): hessian.weight(k, k, here, some) for k in range(hessian.loss.columns)}

        # Where no two weights are proportional.
        size, families = hessian.features.columns - self.first, len(np.unique(family))
        self.cost = families * hessian.loss.columns * hessian.cost_of_block(size)
        if early:
            worth = self.cost / (len(problems.C) * hessian.cost_of_product())
            self.patience = int(np.clip(worth, FEW, MANY))
        kinds = _proportional(weights)

        def roots_of(alike: dict[tuple[int, int], float]) -> list[tuple[np.ndarray, np.ndarray]]:
            block, diagonal = hessian.block(weights[next(iter(alike))], self.first)
            return [_root(block * factor, diagonal * factor) for factor in alike.values()]

        roots = (root for made in hessian.blocks.map(roots_of, kinds) for root in made)
        self.roots = dict(zip((key for alike in kinds for key in alike), roots, strict=True))
        hessian.multiply_adds += len(kinds) * hessian.cost_of_block(size)
        self.since = hessian.multiply_adds

    def solve(self, residual: np.ndarray, problems: Problems) -> np.ndarray:
        """As in `Preconditioner`."""
        family, first = self.family[problems.base], self.first
        if len(residual) > 1:
            residual = residual - residual.mean(axis=0)
        step = np.empty_like(residual)

        # One family has all problems, and a slice of them is no copy.
        of = {number: _places(family == number) for number in np.unique(family).tolist()}

        def one(key: tuple[int, int]) -> None:
            number, k = key
            if (chosen := of.get(number)) is not None:
                root, tail = self.roots[key]
                step[k, chosen, :first] = residual[k, chosen, :first] * tail
                step[k, chosen, first:] = _times_square(residual[k, chosen, first:], root)

        for _ in self.pool.map(one, self.roots):
            pass
        return step - step.mean(axis=0) if len(step) > 1 else step

    def sharper(self, problems: Problems, wrong: list[Array], hard: np.ndarray) -> Preconditioner:
        """As in `Preconditioner`: the blocks where certainty has begun, then the whole Hessian, if it is not large."""
        last = np.flatnonzero(np.isclose(problems.C, problems.C.max()))
        there = problems.at(last), [block[:, last] for block in wrong]
        if self.early:
            return ClassBlocks(self.hessian, self.family, *there, self.rotated)
        return Whole(self.hessian, self.family, *there) if self.hessian.unknowns <= _FACTORED else self

    def renewed(self, problems: Problems, wrong: list[Array], spent: float) -> Preconditioner:
        """As in `Preconditioner`."""
        families, speed = len(np.unique(self.family)), self.hessian.features.products.speed
        whole = families * self.hessian.cost_of_whole()
        if self.hessian.unknowns <= _FACTORED and spent / speed > _SOON * whole:
            return Whole(self.hessian, self.family, problems, wrong)
        if (self.hessian.multiply_adds - self.since) / speed > WORTH * self.cost:
            return ClassBlocks(self.hessian, self.family, problems, wrong, self.rotated)
        return self


class Whole:
    """The Hessian of all classes, which says also how they depend on each other; parameters as in `ClassBlocks`."""

    def __init__(self, hessian: Hessian, family: np.ndarray, problems: Problems, wrong: list[Array]) -> None:
        self.hessian, self.family = hessian, family
        self.patience = int(np.clip(hessian.cost_of_whole() / (_SLOW * hessian.cost_of_product()), MANY, _MOST))
        of = family[problems.base]
        self.roots = {number: _whole_root(hessian, problems, wrong, of == number) for number in np.unique(of).tolist()}

    def solve(self, residual: np.ndarray, problems: Problems) -> np.ndarray:
        """As in `Preconditioner`."""
        family, (K, _P, d) = self.family[problems.base], residual.shape
        step = np.empty_like(residual)
        for number in np.unique(family).tolist():
            chosen = family == number
            flat = residual[:, chosen].swapaxes(0, 1).reshape(-1, K * d)
            made = self._times_square(flat, self.roots[number])
            step[:, chosen] = made.reshape(-1, K, d).swapaxes(0, 1)
        return step - step.mean(axis=0) if K > 1 else step

    def _times_square(self, rows: np.ndarray, root: np.ndarray) -> np.ndarray:
        """Return rows (m, e) @ root.T @ root, root (e, e), by all threads; each part of it is read from memory once."""

        def add(_number: int, part: slice, so_far: np.ndarray) -> None:
            # A root is lower triangular.
            some = root[part, : part.stop]
            so_far[:, : part.stop] += (rows[:, : part.stop] @ some.T) @ some

        return self.hessian.blocks.of(len(root), _PART).total(add, rows.shape)

    def sharper(self, problems: Problems, wrong: list[Array], hard: np.ndarray) -> "Whole":
        """As in `Preconditioner`: rows of the weights with a hard problem get a Hessian of their own.

        Where a class of one fold can be told apart by a plane, and that of another can't, their Hessians are nothing
        alike however close their C.
        """
        found = copy(self)
        found.family, found.roots = self.family.copy(), dict(self.roots)
        for base in np.unique(problems.base[hard]).tolist():
            own = hard[problems.base[hard] == base]
            last = np.arange(len(problems.C)) == own[np.argmax(problems.C[own])]
            if (found.family == found.family[base]).sum() > 1:
                found.family[base] = max(found.roots) + 1
            found.roots[int(found.family[base])] = _whole_root(self.hessian, problems, wrong, last)
        return found

    def renewed(self, problems: Problems, wrong: list[Array], spent: float) -> "Whole":
        """As in `Preconditioner`."""
        pays = spent / self.hessian.features.products.speed > _SOON * len(self.roots) * self.hessian.cost_of_whole()
        return Whole(self.hessian, self.family, problems, wrong) if pays else self


def _places(chosen: np.ndarray) -> np.ndarray | slice:
    """Return what picks the chosen ones, without a copy where these are all."""
    return slice(None) if chosen.all() else chosen


def _times_square(rows: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return rows (m, e) @ root.T @ root, root (e, e)."""
    if len(rows) > _VECTORS:
        return np.asarray((rows @ root.T) @ root)
    return np.stack([root.T @ (root @ row) for row in rows])


def _whole_root(hessian: Hessian, problems: Problems, wrong: list[Array], chosen: np.ndarray) -> np.ndarray:
    """Return the inverse of the lower Cholesky factor of the mean Hessian of some problems."""
    from scipy.linalg.lapack import dpotrf, dtrtri

    here = problems.at(chosen)
    heavy, there = hessian.without_light(here, [block[:, chosen] for block in wrong])
    lower = dpotrf(heavy.whole(here, there).T, lower=1, clean=1, overwrite_a=1)[0]
    # What it is made of needs double precision, what it does does not.
    return np.asarray(dtrtri(lower, lower=1, overwrite_c=1)[0], np.float32)


def _proportional(weights: dict[tuple[int, int], np.ndarray]) -> list[dict[tuple[int, int], float]]:
    """Return which weights are multiples of each other, and of which number: with no coefficients yet, most are."""
    kinds: list[tuple[np.ndarray, dict[tuple[int, int], float]]] = []
    # The largest is the first, so that no row that matters to another is light in it.
    for key in sorted(weights, key=lambda key: -weights[key].max()):
        own = weights[key]
        for first, alike in kinds:
            factor = float(own.max() / first.max())
            if np.allclose(own, factor * first, rtol=_ALIKE, atol=_ALIKE * own.max()):
                alike[key] = factor
                break
        else:
            kinds.append((own, {key: 1.0}))
    return [alike for _, alike in kinds]


def _root(block: np.ndarray, diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of the lower Cholesky factor of a block with the penalty, and that of the other diagonal."""
    from scipy.linalg.lapack import strtri

    d = len(block)
    block[np.diag_indices(d - 1)] += 1
    diagonal[:-1] += 1
    scale = 1 / np.sqrt(block.diagonal())
    block *= scale
    block *= scale[:, None]
    block[np.diag_indices(d)] += np.float32(d * np.finfo(np.float32).eps)
    # Two products with the inverse are several times faster than two triangular solves of few columns, and such a
    # square is positive definite whatever its rounding.
    root: np.ndarray = strtri(np.linalg.cholesky(block).T, lower=0)[0].T
    root *= scale
    return root, (1 / diagonal[: len(diagonal) - d]).astype(np.float32)
