"""The softmax and the sigmoid loss of many problems at once, accurate where an image is all but certain.

The terms are written in the probabilities of what is *not* true: near certainty 1 - p has no digits left in single
precision, p of the others has all of them. Scores have the shape (K, P, n): K classes of P problems on n rows. They
may be of either precision; Hessians are made of probabilities in single precision.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Terms:
    """What a block of rows adds to the objective.

    Attributes:
        loss: (P, n). slope: its derivative by the scores, (K, P, n). wrong: the probability of each class that is not
            the true one, 0 of the true one, (K, P, n); of a sigmoid the probability of what is not true.
    """

    loss: np.ndarray
    slope: np.ndarray
    wrong: np.ndarray


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

    def known(self, weights: np.ndarray, rows: np.ndarray) -> int:
        """Return of how many ``rows`` at least, that weigh something in ``weights`` (B, n), a class is the true one."""
        ...

    def terms(self, scores: np.ndarray, base: np.ndarray, rows: slice) -> Terms:
        """Return the terms at ``scores`` (K, P, n), overwritten, of the problems ``base`` (P,)."""
        ...

    def product(self, wrong: np.ndarray, scores: np.ndarray, rows: slice) -> np.ndarray:
        """Return the second derivative times a change of the ``scores`` (K, P, n), overwritten."""
        ...

    def curvature(self, wrong: np.ndarray, rows: slice, k: int, other: int) -> np.ndarray:
        """Return the second derivative by the scores of two classes, p (1 - p) or -p q, (P, n)."""
        ...


class Softmax:
    """One softmax over K classes; ``codes`` (n,) are the true ones."""

    def __init__(self, codes: np.ndarray, classes: int) -> None:
        self.codes = codes
        self.columns, self.free = classes, classes - 1

    def of(self, rows: np.ndarray) -> "Softmax":
        """As in `Loss`."""
        return Softmax(self.codes[rows], self.columns)

    def known(self, weights: np.ndarray, rows: np.ndarray) -> int:
        """As in `Loss`."""
        return int(((weights[:, rows] > 0) @ np.eye(self.columns)[self.codes[rows]]).min())

    def terms(self, scores: np.ndarray, base: np.ndarray, rows: slice) -> Terms:
        """As in `Loss`."""
        true = self.codes[rows][None, None]
        scores -= np.take_along_axis(scores, true, 0)
        most = scores.max(axis=0)
        scores -= most
        wrong = np.exp(scores, out=scores)
        np.put_along_axis(wrong, true, 0, 0)
        own, others = np.exp(-most), wrong.sum(axis=0)
        loss = most + np.log1p(others + (own - 1))
        wrong /= own + others
        slope = wrong.copy()
        np.put_along_axis(slope, true, -wrong.sum(axis=0)[None], 0)
        return Terms(loss, slope, wrong)

    def product(self, wrong: np.ndarray, scores: np.ndarray, rows: slice) -> np.ndarray:
        """As in `Loss`."""
        true = self.codes[rows][None, None]
        scores -= np.take_along_axis(scores, true, 0)
        scores *= wrong
        scores -= wrong * scores.sum(axis=0)
        np.put_along_axis(scores, true, -scores.sum(axis=0)[None], 0)
        return scores

    def curvature(self, wrong: np.ndarray, rows: slice, k: int, other: int) -> np.ndarray:
        """As in `Loss`."""
        codes, rest = self.codes[rows], wrong.sum(axis=0)

        def probability(of: int) -> np.ndarray:
            return np.asarray(np.where(codes == of, 1 - rest, wrong[of]))

        if k == other:
            return np.asarray(probability(k) * np.where(codes == k, rest, 1 - wrong[k]))
        return np.asarray(-probability(k) * probability(other))


class Sigmoid:
    """A sigmoid for each problem; ``sign`` (B, n) is 1 where the label holds and -1 where not."""

    columns = free = 1

    def __init__(self, sign: np.ndarray) -> None:
        self.sign = sign

    def of(self, rows: np.ndarray) -> "Sigmoid":
        """As in `Loss`."""
        return Sigmoid(self.sign[:, rows])

    def known(self, weights: np.ndarray, rows: np.ndarray) -> int:
        """As in `Loss`."""
        sign, counts = self.sign[:, rows], weights[:, rows] > 0
        return int(min((counts & (sign == side)).sum(axis=1).min() for side in (1, -1)))

    def terms(self, scores: np.ndarray, base: np.ndarray, rows: slice) -> Terms:
        """As in `Loss`."""
        sign = self.sign[base, rows]
        margin = scores[0] * sign
        small = np.exp(-np.abs(margin))
        inverse = 1 / (1 + small)
        wrong = np.where(margin > 0, small * inverse, inverse)
        return Terms(np.log1p(small) + np.maximum(-margin, 0), (-sign * wrong)[None], wrong[None])

    def product(self, wrong: np.ndarray, scores: np.ndarray, rows: slice) -> np.ndarray:
        """As in `Loss`."""
        scores *= wrong * (1 - wrong)
        return scores

    def curvature(self, wrong: np.ndarray, rows: slice, k: int, other: int) -> np.ndarray:
        """As in `Loss`."""
        return np.asarray(wrong[0] * (1 - wrong[0]))
