"""Blocks of rows, several at once, each on one thread of the linear algebra library.

The blocks and the order in which their results are added do not depend on the number of threads, so neither does
any sum.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from embedkit import machine

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# A block of 2,048 features is then 4 MB: it is read twice by one product and should lie in the cache.
ROWS = 1024
# Where that makes so many blocks, twice as many rows: the calls of Python between the products take turns.
_MANY = 64
# Sums over rows are taken in so many parts at once, on any machine.
_STRIPES = 4


@dataclass(frozen=True)
class Blocks:
    """The rows of a matrix in blocks, and the threads that work on them."""

    slices: tuple[slice, ...]
    workers: int
    pool: ThreadPoolExecutor
    size: int = ROWS

    def of(self, rows: int, size: int | None = None) -> "Blocks":
        """Return the blocks of another number of rows, or of another size, with the same threads."""
        return replace(self, slices=_slices(rows, size or self.size), size=size or self.size)

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

    def total(
        self,
        add: Callable[[int, slice, np.ndarray], None],
        shape: tuple[int, ...],
        precision: type[np.floating] = np.float32,
    ) -> np.ndarray:
        """Return a sum over the blocks: ``add(number, rows, so_far)`` adds one of them to ``so_far``."""
        numbered = list(enumerate(self.slices))

        def stripe(first: int) -> np.ndarray:
            so_far = np.zeros(shape, precision)
            for number, rows in numbered[first::_STRIPES]:
                add(number, rows, so_far)
            return so_far

        total = np.zeros(shape, precision)
        for part in self.map(stripe, range(min(_STRIPES, len(self.slices)))):
            total += part
        return total

    def gram(self, features: Callable[[slice], np.ndarray], d: int) -> np.ndarray:
        """Return the sum over the blocks of F.T @ F of F = ``features(rows)`` (rows, d) float32."""

        def add(_number: int, rows: slice, so_far: np.ndarray) -> None:
            F = features(rows)
            so_far += F.T @ F

        return self.total(add, (d, d))


@contextmanager
def row_blocks(rows: int, size: int | None = None) -> Iterator[Blocks]:
    """Give the blocks of ``rows`` rows, ``size`` of them each or what suits their number, and the threads for them."""
    # It has a linear algebra library of its own, and what is loaded later is not limited.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    size = size or (ROWS if rows < _MANY * ROWS else 2 * ROWS)
    slices = _slices(rows, size)
    workers = min(len(slices), machine.cores())
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        yield Blocks(slices, workers, pool, size)


def _slices(rows: int, size: int) -> tuple[slice, ...]:
    return tuple(slice(start, min(start + size, rows)) for start in range(0, rows, size))
