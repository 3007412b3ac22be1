"""The softmax and the sigmoid loss of many problems at once, accurate where an image is all but certain.

The terms are written in the probabilities of what is *not* true: near certainty 1 - p has no digits left in single
precision, p of the others has all of them. Scores have the shape (K, P, n): K classes of P problems on n rows. They
may be of either precision; Hessians are made of probabilities in single precision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embedkit.probing.solver.arrays import Array, library


@dataclass(frozen=True)
class Terms:
    """What a block of rows adds to the objective.

    Attributes:
        loss: (P, n). slope: its derivative by the scores, (K, P, n). wrong: the probability of each class that is not
            the true one, 0 of the true one, (K, P, n); of a sigmoid the probability of what is not true.
    """

    loss: Array
    slope: Array
    wrong: Array


class Loss(Protocol):
    """A loss whose scores are linear in the coefficients.

    Attributes:
        columns: K. free: how many of them are computed; where it is one fewer, the last is what makes the sum 0.
    """

    columns: int
    free: int

    def of(self, rows: np.ndarray) -> "Loss":
        """Return the loss of some rows."""
        ...

    def at(self, there: Callable[[np.ndarray], Array]) -> "Loss":
        """Return the loss where ``there`` takes an array to."""
        ...

    def terms(self, scores: Array, base: np.ndarray, rows: slice) -> Terms:
        """Return the terms at ``scores`` (K, P, n), overwritten, of the problems ``base`` (P,)."""
        ...

    def product(self, wrong: Array, scores: Array, rows: slice) -> Array:
        """Return the second derivative times a change of the ``scores`` (K, P, n), overwritten."""
        ...

    def curvature(self, wrong: Array, rows: slice, k: int, other: int) -> Array:
        """Return the second derivative by the scores of two classes, p (1 - p) or -p q, (P, n)."""
        ...


class Softmax:
    """One softmax over K classes; ``codes`` (n,) are the true ones.

    Args:
        places: 0 to n - 1, where the codes are.
    """

    def __init__(self, codes: Array, classes: int, places: Array | None = None) -> None:
        self.codes, self.places = codes, np.arange(len(codes)) if places is None else places
        self.columns, self.free = classes, classes - 1

    def of(self, rows: np.ndarray) -> "Softmax":
        """As in `Loss`."""
        return Softmax(self.codes[rows], self.columns, self.places[: len(rows)])

    def at(self, there: Callable[[np.ndarray], Array]) -> "Softmax":
        """As in `Loss`."""
        return Softmax(there(self.codes), self.columns, there(self.places))

    def terms(self, scores: Array, base: np.ndarray, rows: slice) -> Terms:
        """As in `Loss`."""
        xp, true = library(scores), self._true(rows)
        scores -= scores[true].T
        most = xp.amax(scores, axis=0)
        scores -= most
        wrong = xp.exp(scores, out=scores)
        wrong[true] = 0
        own, others = xp.exp(-most), wrong.sum(axis=0)
        loss = most + xp.log1p(others + (own - 1))
        wrong /= own + others
        slope = wrong + 0
        slope[true] = -wrong.sum(axis=0).T
        return Terms(loss, slope, wrong)

    def product(self, wrong: Array, scores: Array, rows: slice) -> Array:
        """As in `Loss`."""
        true = self._true(rows)
        scores -= scores[true].T
        scores *= wrong
        scores -= wrong * scores.sum(axis=0)
        scores[true] = -scores.sum(axis=0).T
        return scores

    def curvature(self, wrong: Array, rows: slice, k: int, other: int) -> Array:
        """As in `Loss`."""
        xp, codes, rest = library(wrong), self.codes[rows], wrong.sum(axis=0)

        def probability(of: int) -> Array:
            return xp.where(codes == of, 1 - rest, wrong[of])

        if k == other:
            return probability(k) * xp.where(codes == k, rest, 1 - wrong[k])
        return -probability(k) * probability(other)

    def _true(self, rows: slice) -> tuple[Array, slice, Array]:
        """Return what picks the true class of each row, (n, P) of (K, P, n)."""
        codes = self.codes[rows]
        return codes, slice(None), self.places[: len(codes)]


class Sigmoid:
    """A sigmoid for each problem; ``sign`` (B, n) is 1 where the label holds and -1 where not."""

    columns = free = 1

    def __init__(self, sign: Array) -> None:
        self.sign = sign

    def of(self, rows: np.ndarray) -> "Sigmoid":
        """As in `Loss`."""
        return Sigmoid(self.sign[:, rows])

    def at(self, there: Callable[[np.ndarray], Array]) -> "Sigmoid":
        """As in `Loss`."""
        return Sigmoid(there(np.ascontiguousarray(self.sign)))

    def terms(self, scores: Array, base: np.ndarray, rows: slice) -> Terms:
        """As in `Loss`."""
        xp, sign = library(scores), self.sign[base, rows]
        margin = scores[0] * sign
        small = xp.exp(-abs(margin))
        inverse = 1 / (1 + small)
        wrong = xp.where(margin > 0, small * inverse, inverse)
        return Terms(xp.log1p(small) + (-margin).clip(min=0), (-sign * wrong)[None], wrong[None])

    def product(self, wrong: Array, scores: Array, rows: slice) -> Array:
        """As in `Loss`."""
        scores *= wrong * (1 - wrong)
        return scores

    def curvature(self, wrong: Array, rows: slice, k: int, other: int) -> Array:
        """As in `Loss`."""
        return wrong[0] * (1 - wrong[0])
