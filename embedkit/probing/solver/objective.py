"""Regularised logistic losses of many problems on one matrix: value, gradient and Hessian products.

The problems share the matrix, so each pass over a block of its rows is two matrix products for all of them.
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.solver.blocks import Blocks
from embedkit.probing.solver.losses import Loss

# A row whose largest eigenvalue in a Hessian is this, beside the penalty's 1.
_LIGHT = 0.1


@dataclass(frozen=True)
class Problems:
    """Which problems are meant: row of `Objective.weights` and value of C, each (P,)."""

    base: np.ndarray
    C: np.ndarray

    def at(self, chosen: np.ndarray) -> "Problems":
        """Return some of them."""
        return Problems(self.base[chosen], self.C[chosen])


@dataclass(frozen=True)
class State:
    """An objective at some coefficients.

    Attributes:
        value: (P,). gradient: (K, P, d), double precision. diagonal: of the Hessian, (K, P, d).
        curvature: of each block of rows, (K, P, rows).
    """

    value: np.ndarray
    gradient: np.ndarray
    diagonal: np.ndarray
    curvature: list[np.ndarray]

    def at(self, chosen: np.ndarray) -> "State":
        """Return it of some problems."""
        return State(
            self.value[chosen],
            self.gradient[:, chosen],
            self.diagonal[:, chosen],
            [block[:, chosen] for block in self.curvature],
        )


class Objective:
    """C * sum_i weight_i loss_i + |w|^2 / 2 for each of several problems.

    Args:
        Z: (n, d) float32; its last column is 1, the intercept's, which is not penalised. loss: of the scores.
        weights: (B, n) float32. blocks: of the rows of Z.
    """

    def __init__(self, Z: np.ndarray, loss: Loss, weights: np.ndarray, blocks: Blocks) -> None:
        self.Z, self.loss, self.weights, self.blocks = Z, loss, weights, blocks
        self.penalty = np.ones(Z.shape[1], np.float32)
        self.penalty[-1] = 0
        self.multiply_adds = 0.0

    def at(self, W: np.ndarray, problems: Problems, diagonal: np.ndarray | None = None) -> State:
        """Return the objective at coefficients (K, P, d), which add to zero over the classes of a softmax.

        Args:
            diagonal: of a Hessian nearby, which is taken for this one's.
        """
        K, P, d = W.shape
        asked = diagonal is None
        self.multiply_adds += (2.0 * self.loss.free + K * asked) * P * d * len(self.Z)

        def block(rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
            Z, weights = self.Z[rows], self.weights[problems.base, rows]
            terms = self.loss.terms(self._scores(W, Z), problems.base, rows)
            loss = np.einsum("pn,pn->p", terms.loss, weights, dtype=np.float64)
            variance = (self.loss.variance(terms.curvature, rows) * weights).reshape(K * P, -1) if asked else None
            part = None if variance is None else variance @ (Z * Z)
            return loss, self._back(terms.slope * weights, Z), part, terms.curvature

        value, curvature = np.zeros(P), []
        gradient, variances = np.zeros((self.loss.free, P, d)), np.zeros((K * P, d), np.float32)
        for a_loss, a_slope, a_variance, kept in self.blocks.map(block, self.blocks.slices):
            value += a_loss
            gradient += a_slope
            if a_variance is not None:
                variances += a_variance
            curvature.append(kept)
        C = problems.C[:, None]
        value = problems.C * value + 0.5 * np.einsum("kpd,kpd,d->p", W, W, self.penalty, dtype=np.float64)
        if diagonal is None:
            diagonal = (C * variances.reshape(W.shape) + self.penalty).astype(np.float32)
        return State(value, C * self._whole(gradient) + W * self.penalty, diagonal, curvature)

    def _scores(self, W: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """Return the scores (K, P, n) of the rows Z (n, d)."""
        free = W[: self.loss.free]
        return self._whole((free.reshape(-1, W.shape[2]) @ Z.T).reshape(*free.shape[:2], -1))

    def _back(self, change: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """Return what a change of the scores (K, P, n) is in the free coefficients, (free, P, d)."""
        free = change[: self.loss.free]
        product: np.ndarray = free.reshape(-1, change.shape[2]) @ Z
        return product.reshape(*free.shape[:2], -1)

    def _whole(self, free: np.ndarray) -> np.ndarray:
        if self.loss.free == self.loss.columns:
            return free
        return np.concatenate([free, -free.sum(axis=0, keepdims=True)])

    def hessian_times(
        self, V: np.ndarray, problems: Problems, curvature: list[np.ndarray], active: np.ndarray
    ) -> np.ndarray:
        """Return the Hessians times V (K, P, d), of the problems ``active`` (P,) within ``curvature``."""
        _, P, d = V.shape
        self.multiply_adds += 2.0 * self.loss.free * P * d * len(self.Z)

        def block(item: tuple[slice, np.ndarray]) -> np.ndarray:
            rows, kept = item
            Z = self.Z[rows]
            change = self.loss.product(kept[:, active], self._scores(V, Z), rows)
            change *= self.weights[problems.base, rows]
            return self._back(change, Z)

        total = np.zeros((self.loss.free, P, d), np.float32)
        for part in self.blocks.map(block, zip(self.blocks.slices, curvature, strict=True)):
            total += part
        C = problems.C[:, None].astype(np.float32)
        return np.asarray(C * self._whole(total) + V * self.penalty)

    def class_hessian(self, k: int, problems: Problems, state: State, chosen: np.ndarray, first: int) -> np.ndarray:
        """Return about class k's block of the Hessian, lower triangle, averaged over the problems ``chosen``.

        Rows that weigh little beside the penalty count in the diagonal alone, which is exact: most rows, where C is
        large and most images are certain, or where the class is rare.

        Args:
            k: the class. problems: of ``state``, all at one C. chosen: numbers of some of them.
            first: the coordinate from which on the block is wanted.

        Returns:
            (d - first, d - first).
        """
        base, C, d = problems.base[chosen], problems.C[0], self.Z.shape[1] - first
        kept = dict(zip((rows.start for rows in self.blocks.slices), state.curvature, strict=True))

        def scaled(rows: slice) -> np.ndarray:
            Z = self.Z[rows]
            variance = self.loss.variance(kept[rows.start][:, chosen], rows)[k] * self.weights[base, rows]
            weight = C * variance.mean(axis=0)
            heavy = weight * np.einsum("nd,nd->n", Z, Z) > _LIGHT
            self.multiply_adds += 0.5 * heavy.sum() * d**2
            return np.asarray(Z[heavy, first:] * np.sqrt(weight[heavy], dtype=np.float32)[:, None])

        total = self.blocks.gram(scaled, d)
        total[np.diag_indices(d)] = state.diagonal[k, chosen, first:].mean(axis=0)
        return total
