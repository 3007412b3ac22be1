"""Embeddings as the solver multiplies with them: centred, in blocks of rows, with an intercept behind the coefficients.

The mean is taken off the products, not off the rows, so that no copy of the embeddings is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedkit.probing.solver.arrays import Array, host, library
from embedkit.probing.solver.blocks import Blocks
from embedkit.probing.solver.products import Plain, Products


@dataclass(frozen=True)
class Features:
    """A matrix, and how it is multiplied.

    Attributes:
        X: (m, d). mean: (d,), in `precision`. precision: float32 or float64, of what comes out. products: with X.
        chosen: (n,) positions of the rows that are meant; None for all.
    """

    X: np.ndarray
    mean: np.ndarray
    precision: type[np.floating]
    products: Products
    chosen: np.ndarray | None = None

    @classmethod
    def plain(cls, X: np.ndarray, mean: np.ndarray, precision: type[np.floating]) -> "Features":
        """Return features that are multiplied in their precision."""
        return cls(X, mean.astype(precision), precision, Plain(X, precision))

    def __len__(self) -> int:
        return len(self.X if self.chosen is None else self.chosen)

    def of(self, rows: np.ndarray) -> "Features":
        """Return some rows of these."""
        chosen = rows if self.chosen is None else self.chosen[rows]
        return replace(self, products=self.products.of(rows), chosen=chosen)

    @property
    def columns(self) -> int:
        """How many coefficients there are, with the intercept."""
        return int(self.X.shape[1]) + 1

    def scores(self, W: np.ndarray, block: Any) -> Array:
        """Return the scores (..., b) of a block of rows for coefficients (..., d + 1), where they are multiplied."""
        flat = W.reshape(-1, W.shape[-1]).astype(self.precision, copy=False)
        coef = flat[:, :-1]
        found = self.products.across(block, coef)
        found += self.products.there(flat[:, -1] - coef @ self.mean)[:, None]
        return found.reshape(*W.shape[:-1], -1)

    def back(self, blocks: Blocks, change: Callable[[int, slice, Any], Array], shape: tuple[int, ...]) -> np.ndarray:
        """Return what a change of all scores is in the coefficients, (..., d + 1).

        Args:
            blocks: of the rows. change: number, rows and embeddings (as `products` has them) of a block -> change of
                its scores (..., b). shape: of the coefficients.
        """
        m = math.prod(shape[:-1])
        totals = np.empty((len(blocks.slices), m), self.precision)

        def add(number: int, rows: slice, so_far: np.ndarray) -> None:
            block = self.products.block(rows)
            flat = change(number, rows, block).reshape(m, -1)
            totals[number] = host(flat.sum(axis=1))
            so_far += self.products.down(flat, block)

        coef = blocks.total(add, (m, self.X.shape[1]), self.precision)
        total = totals.sum(axis=0)
        found = np.empty((m, self.columns), self.precision)
        np.subtract(coef, total[:, None] * self.mean, out=found[:, :-1])
        found[:, -1] = total
        return found.reshape(shape)

    def centred(self, rows: slice | np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return columns of rows with a 1 behind them, (b, d + 1) or those from the first to before the last."""
        stop = self.columns if last is None else last
        d = min(stop, self.columns - 1)
        block = self.X[:, first:d][rows if self.chosen is None else self.chosen[rows]]
        found = np.ones((len(block), stop - first), self.precision)
        np.subtract(block, self.mean[first:d], out=found[:, : d - first])
        return found


def over_classes(free: Array, classes: int) -> Array:
    """Return (K, ...) of (K, ...) or of (K - 1, ...), whose last is what makes the sum over the classes 0."""
    if len(free) == classes:
        return free
    return library(free).concatenate([free, -free.sum(axis=0, keepdims=True)])
