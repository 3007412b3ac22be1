"""Regularised logistic losses of many problems on one matrix: value and gradient, in double precision.

The problems share the matrix, so each pass over a block of its rows is two matrix products for all of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from embedkit.probing.solver.arrays import Array, host, single
from embedkit.probing.solver.blocks import Blocks
from embedkit.probing.solver.features import Features, over_classes
from embedkit.probing.solver.losses import Loss

# A probability that counts as none in a Hessian. What is made of smaller ones has no leading digit in single precision
# (is subnormal), with which processors multiply several times slower.
_NONE = 1e-18


@dataclass(frozen=True)
class Problems:
    """Which problems are meant: row of the weights and value of C, each (P,)."""

    base: np.ndarray
    C: np.ndarray

    def at(self, chosen: np.ndarray) -> "Problems":
        """Return some of them."""
        return Problems(self.base[chosen], self.C[chosen])


@dataclass(frozen=True)
class State:
    """An objective at some coefficients.

    Attributes:
        value: (P,). gradient: (K, P, d + 1). wrong: for each block of rows the probabilities of the classes that are
            not the true one, (K, P, rows) in single precision, which is all that a Hessian needs to know; there where
            the embeddings are multiplied.
    """

    value: np.ndarray
    gradient: np.ndarray
    wrong: list[Array]

    def at(self, chosen: np.ndarray) -> "State":
        """Return it of some problems."""
        return State(self.value[chosen], self.gradient[:, chosen], [block[:, chosen] for block in self.wrong])


@dataclass(frozen=True)
class Point:
    """Coefficients W (K, P, d + 1) of problems, and the state there."""

    problems: Problems
    W: np.ndarray
    state: State

    def at(self, chosen: np.ndarray) -> "Point":
        """Return it of some problems."""
        return Point(self.problems.at(chosen), self.W[:, chosen], self.state.at(chosen))


class Objective:
    """C * sum_i weight_i loss_i + |w|^2 / 2 for each of several problems; the intercept is not penalised.

    Args:
        features: of n rows. loss: of their scores. weights: (B, n) float32, where the features are multiplied.
        blocks: of the rows.
    """

    def __init__(self, features: Features, loss: Loss, weights: Array, blocks: Blocks) -> None:
        self.features, self.loss, self.weights, self.blocks = features, loss, weights, blocks
        self.multiply_adds = 0.0
        # What rounding may add to a value, as a part of it.
        self.rounding = 50 * float(np.finfo(features.precision).eps)

    def at(self, W: np.ndarray, problems: Problems) -> State:
        """Return the objective at coefficients (K, P, d + 1), which add to zero over the classes of a softmax."""
        K, P, d = W.shape
        free = W[: self.loss.free]
        self.multiply_adds += 2.0 * self.loss.free * P * d * len(self.features)

        values, wrong = np.empty((len(self.blocks.slices), P)), [np.empty(0)] * len(self.blocks.slices)

        def slope_of(number: int, rows: slice, X: Any) -> Array:
            weights = self.weights[problems.base, rows]
            terms = self.loss.terms(over_classes(self.features.scores(free, X), K), problems.base, rows)
            values[number] = host((terms.loss * weights).sum(axis=1))
            terms.wrong[terms.wrong < _NONE] = 0
            wrong[number] = single(terms.wrong)
            return terms.slope[: self.loss.free] * weights

        slope = self.features.back(self.blocks, slope_of, free.shape)
        gradient = problems.C[:, None] * over_classes(slope, K)
        gradient[..., :-1] += W[..., :-1]
        return State(problems.C * values.sum(axis=0) + penalty(W), gradient, wrong)


def penalty(W: np.ndarray) -> np.ndarray:
    """Return |w|^2 / 2 of coefficients (K, P, d + 1), (P,)."""
    coef = W[..., :-1]
    return np.asarray(0.5 * np.einsum("kpd,kpd->p", coef, coef))
