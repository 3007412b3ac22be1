"""Blocks of rows, several at once, each on one thread of the linear algebra library.

The blocks and the order in which their results are added do not depend on the number of threads, so neither does
any sum.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from embedkit.probing import threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# A block of 2,048 features is then 4 MB: it is read twice by one product and should lie in the cache.
ROWS = 512
# Sums over rows are taken in so many parts at once, on any machine.
_STRIPES = 4


@dataclass(frozen=True)
class Blocks:
    """The rows of a matrix in blocks, and the threads that work on them."""

    slices: tuple[slice, ...]
    workers: int
    pool: ThreadPoolExecutor

    def map(self, task: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Return ``task`` of each item in order, a few at a time: what has not been fetched takes memory."""
        ready: list[Future[_Result]] = []
        for item in items:
            ready.append(self.pool.submit(task, item))
            if len(ready) > 2 * self.workers:
                yield ready.pop(0).result()
        yield from (one.result() for one in ready)

    def each(self, task: Callable[[slice], object]) -> None:
        """Run ``task`` on each block."""
        for _ in self.map(task, self.slices):
            pass

    def gram(self, features: Callable[[slice], np.ndarray], d: int) -> np.ndarray:
        """Return the sum over the blocks of F.T @ F, F = ``features(rows)`` (rows, d) float32; its lower triangle."""
        from scipy.linalg.blas import ssyrk

        def stripe(number: int) -> np.ndarray:
            total = np.zeros((d, d), np.float32, order="F")
            for rows in self.slices[number::_STRIPES]:
                total = ssyrk(1.0, features(rows).T, beta=1.0, c=total, overwrite_c=True, lower=True)
            return total

        parts = self.map(stripe, range(min(_STRIPES, len(self.slices))))
        total = next(parts)
        for part in parts:
            total += part
        return total


@contextmanager
def row_blocks(rows: int) -> Iterator[Blocks]:
    """Give the blocks of ``rows`` rows and the threads for them."""
    from threadpoolctl import threadpool_limits

    slices = tuple(slice(start, min(start + ROWS, rows)) for start in range(0, rows, ROWS))
    workers = min(len(slices), threads.cores())
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        yield Blocks(slices, workers, pool)
