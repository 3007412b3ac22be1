"""Embeddings as the solver multiplies with them: centred, in blocks of rows, with an intercept behind the coefficients.

The mean is taken off the products, not off the rows, so that no copy of the embeddings is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from embedkit.probing.solver.blocks import Blocks


@dataclass(frozen=True)
class Features:
    """A matrix, and the precision in which it is multiplied.

    Attributes:
        X: (m, d). mean: (d,), in `precision`. precision: float32 or float64.
        chosen: (n,) positions of the rows that are meant; None for all.
    """

    X: np.ndarray
    mean: np.ndarray
    precision: type[np.floating]
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.X if self.chosen is None else self.chosen)

    def of(self, rows: np.ndarray) -> "Features":
        """Return some rows of all, without a copy of them."""
        return replace(self, chosen=rows)

    @property
    def columns(self) -> int:
        """How many coefficients there are, with the intercept."""
        return int(self.X.shape[1]) + 1

    def block(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return some rows, (b, d)."""
        return np.asarray(self.X[rows if self.chosen is None else self.chosen[rows]], self.precision)

    def scores(self, W: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Return the scores (..., b) of a block of rows for coefficients (..., d + 1)."""
        flat = W.reshape(-1, W.shape[-1])
        coef = flat[:, :-1]
        # This way round few columns are an eighth faster than as coef @ block.T.
        found = np.ascontiguousarray((block @ coef.T).T)
        found += (flat[:, -1] - coef @ self.mean)[:, None]
        return np.asarray(found.reshape(*W.shape[:-1], -1))

    def back(
        self, blocks: Blocks, change: Callable[[int, slice, np.ndarray], np.ndarray], shape: tuple[int, ...]
    ) -> np.ndarray:
        """Return what a change of all scores is in the coefficients, (..., d + 1).

        Args:
            blocks: of the rows. change: number, rows and embeddings (b, d) of a block -> change of its scores (..., b).
            shape: of the coefficients.
        """
        m = math.prod(shape[:-1])
        totals = np.empty((len(blocks.slices), m), self.precision)

        def add(number: int, rows: slice, so_far: np.ndarray) -> None:
            block = self.block(rows)
            flat = change(number, rows, block).reshape(m, -1)
            totals[number] = flat.sum(axis=1)
            so_far += flat @ block

        coef = blocks.total(add, (m, self.X.shape[1]), self.precision)
        total = totals.sum(axis=0)
        found = np.empty((m, self.columns), self.precision)
        np.subtract(coef, total[:, None] * self.mean, out=found[:, :-1])
        found[:, -1] = total
        return found.reshape(shape)

    def centred(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return rows with a 1 behind them, (b, d + 1)."""
        block = self.block(rows)
        found = np.ones((len(block), self.columns), self.precision)
        np.subtract(block, self.mean, out=found[:, :-1])
        return found


def over_classes(free: np.ndarray, classes: int) -> np.ndarray:
    """Return (K, ...) of (K, ...) or of (K - 1, ...), whose last is what makes the sum over the classes 0."""
    if len(free) == classes:
        return free
    return np.concatenate([free, -free.sum(axis=0, keepdims=True)])
