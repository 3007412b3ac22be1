"""Hessians of many regularised logistic problems in single precision: their products, and blocks of them.

They only decide how fast Newton's method arrives; where it arrives, the gradient in double precision decides.
"""

from typing import Any

import numpy as np

from embedkit.probing.solver.arrays import Array, double, host, library
from embedkit.probing.solver.blocks import Blocks
from embedkit.probing.solver.features import Features, over_classes
from embedkit.probing.solver.losses import Loss
from embedkit.probing.solver.objective import Problems

# A row whose largest eigenvalue in a Hessian is this, beside the penalty's 1.
_LIGHT = 0.1
# Rows may be left out of the products of Hessians whose eigenvalues, beside the penalty's 1, add to this; to pick the
# others is worth while where they are less than this part of all.
_LOST = 0.05
_MOST = 0.8
# So many rows for each coordinate are enough for a block of a Hessian that is only to be near the true one.
_SAMPLE = 8
# Rows that are read at one time for a block.
_ROWS = 1024


class Hessian:
    """Second derivatives of the objective of the same loss and weights.

    Args:
        features: in single precision and in the coordinates of the Hessian. loss, weights, blocks: as in `Objective`.
        norms: (n,), the squared lengths of the rows with their 1, where they are known.
    """

    def __init__(
        self, features: Features, loss: Loss, weights: Array, blocks: Blocks, norms: np.ndarray | None = None
    ) -> None:
        self.features, self.loss, self.weights, self.blocks = features, loss, weights, blocks
        self.multiply_adds = 0.0
        self.norms = self._norms() if norms is None else norms

    @property
    def unknowns(self) -> int:
        """How many coefficients one problem has, with its intercepts."""
        return self.loss.columns * self.features.columns

    def of(self, rows: np.ndarray) -> "Hessian":
        """Return it of some rows."""
        weights, blocks = self.weights[:, rows], self.blocks.of(len(rows))
        return Hessian(self.features.of(rows), self.loss.of(rows), weights, blocks, self.norms[rows])

    def without_light(self, problems: Problems, wrong: list[Array]) -> tuple["Hessian", list[Array]]:
        """Return Hessians without the rows that together hardly matter beside the penalty, and what `times` needs.

        Where C is large most images are certain, and each product reads the others alone.
        """
        C = self.features.products.there(problems.C[:, None].astype(np.float32))
        weight, total = np.empty(len(self.features)), np.zeros((self.loss.columns, len(problems.C)))
        for rows, here in zip(self.blocks.slices, wrong, strict=True):
            own = C * self.weights[problems.base, rows]
            each = library(own).stack([own * self.loss.curvature(here, rows, k, k) for k in range(self.loss.columns)])
            weight[rows] = host(library(own).amax(each, axis=(0, 1)))
            total += host(each.sum(axis=2))
        # The intercepts have no penalty, only the curvature of the rows.
        least = total.min()
        lost = np.maximum(weight * self.norms, weight / least if least else 0.0)
        order = np.argsort(lost, kind="stable")
        kept = np.sort(order[np.searchsorted(np.cumsum(lost[order]), _LOST) :])
        if len(kept) > _MOST * len(weight):
            return self, wrong
        fewer = self.of(kept)
        there = library(wrong[0]).concatenate(wrong, axis=2)[..., kept]
        return fewer, [there[..., rows] for rows in fewer.blocks.slices]

    def times(self, V: np.ndarray, problems: Problems, wrong: list[Array], active: np.ndarray) -> np.ndarray:
        """Return the Hessians times V (K, P, d + 1), of the problems ``active`` (P,) within ``wrong``."""
        K, P, _d = V.shape
        free = V[: self.loss.free]
        self.multiply_adds += P * self.cost_of_product()

        def change_of(number: int, rows: slice, X: Any) -> Array:
            change = over_classes(self.features.scores(free, X), K)
            change = self.loss.product(wrong[number][:, active], change, rows)
            change *= self.weights[problems.base, rows]
            return change[: self.loss.free]

        total = self.features.back(self.blocks, change_of, free.shape)
        product = np.asarray(problems.C[:, None].astype(np.float32) * over_classes(total, K))
        product[..., :-1] += V[..., :-1]
        return product

    def energy(self, V: np.ndarray, problems: Problems, wrong: list[Array], active: np.ndarray) -> np.ndarray:
        """Return half the squared length of V that these Hessians give it, (P,), without its intercepts."""
        coef = V.copy()
        coef[..., -1] = 0
        product = self.times(coef, problems, wrong, active)
        return np.asarray(np.einsum("kpd,kpd->p", coef, product, dtype=np.float64) / 2)

    def cost_of_product(self) -> float:
        """Return the multiply-adds of `times` with one problem."""
        return 2.0 * self.loss.free * self.features.columns * len(self.features)

    def block(self, weight: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return about the block of a class's own second derivatives, without those of the penalty.

        Rows that weigh little beside the penalty count in the diagonal alone: most rows, where C is large and most
        images are certain, or the class is rare. Of very many rows a part is taken.

        Args:
            weight: (n,), as `weight` returns it. first: the coordinate from which on the block is wanted.

        On the thread that calls it, so that blocks can be made side by side.

        Returns:
            The block (d + 1 - first, d + 1 - first), and the whole diagonal (d + 1,).
        """
        size = self.features.columns - first
        heavy = weight * self.norms > _LIGHT
        picked = np.arange(0, len(weight), max(1, int(heavy.sum()) // (_SAMPLE * size)))
        each = (len(weight) / len(picked) * weight[picked]).astype(np.float32)
        light = np.where(heavy[picked], 0, each)
        leading = np.flatnonzero(heavy[picked])

        block = np.zeros((size, size), np.float32)
        for start in range(0, len(leading), _ROWS):
            some = leading[start : start + _ROWS]
            X = self.features.centred(picked[some], first)
            X *= np.sqrt(each[some])[:, None]
            block += self.features.products.square(X)
        own = block.diagonal().copy()
        if (few := np.flatnonzero(light)).size:
            own += self._squares(picked[few], light[few], first, self.features.columns)
        block[np.diag_indices(size)] = own
        return block, np.concatenate([self._squares(picked, each, 0, first), own])

    def _squares(self, picked: np.ndarray, weight: np.ndarray, first: int, stop: int) -> np.ndarray:
        """Return the sums of the squares of some columns over some rows with these weights."""
        found = np.zeros(stop - first, np.float32)
        for start in range(0, len(picked) if len(found) else 0, _ROWS):
            rows = slice(start, start + _ROWS)
            X = self.features.centred(picked[rows], first, stop)
            found += weight[rows] @ np.square(X, out=X)
        return found

    def cost_of_block(self, size: int) -> float:
        """Return the multiply-adds of a `block` of so many coordinates, at most."""
        return 0.5 * min(len(self.features), 2 * _SAMPLE * size) * size**2

    def whole(self, problems: Problems, wrong: list[Array]) -> np.ndarray:
        """Return about the Hessian of all classes, averaged over problems at one C, in double precision.

        Returns:
            (K (d + 1), K (d + 1)), in blocks of a class.
        """
        K, d = self.loss.columns, self.features.columns
        # Rounded probabilities do not add to 1, and the Hessian would not be positive definite.
        exactly = [double(block) for block in wrong]
        picked = self._picked()
        share, blocks = len(self.features) / len(picked), self.blocks.of(len(picked))
        found = np.empty((K, d, K, d))
        for k, other in self._pairs():
            weight = share * self.weight(k, other, problems, exactly)[picked]

            def add(_number: int, rows: slice, so_far: np.ndarray, weight: np.ndarray = weight) -> None:
                X = self.features.centred(picked[rows]).astype(np.float64)
                so_far += (X * weight[rows, None]).T @ X

            found[k, :, other] = found[other, :, k] = blocks.total(add, (d, d), np.float64)
        self.multiply_adds += self.cost_of_whole() / 2
        if K > 1:
            # What all intercepts have in common changes nothing, and a factor exists only of what has a curvature.
            found[:, -1, :, -1] += found[:, -1, :, -1].trace() / K
        whole = found.reshape(K * d, K * d)
        whole[np.diag_indices(K * d)] += np.tile(np.append(np.ones(d - 1), 0.0), K)
        return whole

    def cost_of_whole(self) -> float:
        """Return the multiply-adds of `whole` and of its factors, each counted twice for its double precision."""
        return 2 * (len(self._pairs()) * len(self._picked()) * self.features.columns**2 + self.unknowns**3 / 3)

    def weight(self, k: int, other: int, problems: Problems, wrong: list[Array]) -> np.ndarray:
        """Return what each row weighs in a block of the Hessian, on average over problems at one C, (n,)."""
        parts = [
            host((self.loss.curvature(here, rows, k, other) * self.weights[problems.base, rows]).mean(axis=0))
            for rows, here in zip(self.blocks.slices, wrong, strict=True)
        ]
        return np.asarray(np.concatenate(parts) * parts[0].dtype.type(problems.C[0]))

    def _pairs(self) -> list[tuple[int, int]]:
        return [(k, other) for k in range(self.loss.columns) for other in range(k + 1)]

    def _norms(self) -> np.ndarray:
        squares = self.blocks.map(lambda rows: np.square(self.features.centred(rows)).sum(axis=1), self.blocks.slices)
        return np.concatenate(list(squares))

    def _picked(self) -> np.ndarray:
        """Return the rows that the whole Hessian is made of."""
        return np.arange(0, len(self.features), max(1, len(self.features) // (_SAMPLE * self.unknowns)))
