"""Regularised logistic losses of many problems on one matrix: value, gradient and Hessian products.

The problems share the matrix, so each pass over a block of its rows is two matrix products for all of them.
"""

from dataclasses import dataclass

import numpy as np

from embedkit.probing.blocks import Blocks
from embedkit.probing.losses import Loss

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

    def at(self, W: np.ndarray, problems: Problems) -> State:
        """Return the objective at coefficients (K, P, d)."""
        K, P, d = W.shape
        flat = W.reshape(K * P, d)
        self.multiply_adds += 3.0 * flat.size * len(self.Z)

        def block(rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            Z, weights = self.Z[rows], self.weights[problems.base, rows]
            terms = self.loss.terms((flat @ Z.T).reshape(K, P, -1), problems.base, rows)
            slope = (terms.slope * weights).reshape(K * P, -1)
            variance = (self.loss.variance(terms.curvature, rows) * weights).reshape(K * P, -1)
            loss = np.einsum("pn,pn->p", terms.loss, weights, dtype=np.float64)
            return loss, slope @ Z, variance @ (Z * Z), terms.curvature

        value = np.zeros(P)
        gradient, diagonal, curvature = np.zeros((K * P, d)), np.zeros((K * P, d), np.float32), []
        for a_loss, a_slope, a_variance, kept in self.blocks.map(block, self.blocks.slices):
            value += a_loss
            gradient += a_slope
            diagonal += a_variance
            curvature.append(kept)
        C = problems.C[:, None]
        value = problems.C * value + 0.5 * np.einsum("kpd,kpd,d->p", W, W, self.penalty, dtype=np.float64)
        return State(
            value,
            C * gradient.reshape(W.shape) + W * self.penalty,
            (C * diagonal.reshape(W.shape) + self.penalty).astype(np.float32),
            curvature,
        )

    def hessian_times(
        self, V: np.ndarray, problems: Problems, curvature: list[np.ndarray], active: np.ndarray
    ) -> np.ndarray:
        """Return the Hessians times V (K, P, d), of the problems ``active`` (P,) within ``curvature``."""
        K, P, d = V.shape
        flat = V.reshape(K * P, d)
        self.multiply_adds += 2.0 * flat.size * len(self.Z)

        def block(item: tuple[slice, np.ndarray]) -> np.ndarray:
            rows, kept = item
            Z = self.Z[rows]
            change = self.loss.product(kept[:, active], (flat @ Z.T).reshape(K, P, -1), rows)
            change *= self.weights[problems.base, rows]
            product: np.ndarray = change.reshape(K * P, -1) @ Z
            return product

        total = np.zeros((K * P, d), np.float32)
        for part in self.blocks.map(block, zip(self.blocks.slices, curvature, strict=True)):
            total += part
        C = problems.C[:, None].astype(np.float32)
        return C * total.reshape(V.shape) + V * self.penalty

    def class_hessian(self, k: int, problems: Problems, state: State, chosen: np.ndarray) -> np.ndarray:
        """Return about class k's block of the Hessian, (d, d), lower triangle, averaged over the problems ``chosen``.

        Rows that weigh little beside the penalty count in the diagonal alone, which is exact: most rows, where C is
        large and most images are certain, or where the class is rare.

        Args:
            k: the class. problems: of ``state``, all at one C. chosen: numbers of some of them.
        """
        base, C, d = problems.base[chosen], problems.C[0], self.Z.shape[1]
        kept = dict(zip((rows.start for rows in self.blocks.slices), state.curvature, strict=True))

        def scaled(rows: slice) -> np.ndarray:
            Z = self.Z[rows]
            variance = self.loss.variance(kept[rows.start][:, chosen], rows)[k] * self.weights[base, rows]
            weight = C * variance.mean(axis=0)
            heavy = weight * np.einsum("nd,nd->n", Z, Z) > _LIGHT
            self.multiply_adds += 0.5 * heavy.sum() * d**2
            return np.asarray(Z[heavy] * np.sqrt(weight[heavy], dtype=np.float32)[:, None])

        total = self.blocks.gram(scaled, d)
        total[np.diag_indices(d)] = state.diagonal[k, chosen].mean(axis=0)
        return total
