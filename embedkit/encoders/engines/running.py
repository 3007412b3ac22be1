"""Running: a model that an engine has made ready; and how fast one is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[Any], NDArray[np.float32]]
"""A batch, (n, h, w, 3) uint8, to its vectors, (n, dim) float32; of torch, the batch may be a tensor."""


@dataclass(frozen=True)
class Running:
    """A model that an engine has made ready.

    Attributes:
        run: embeds a batch; may be called from ``streams`` threads at once.
        streams: how many batches must be in flight for the hardware to be busy.
        begin: called in each thread that will run batches, before the first.
    """

    run: Run
    streams: int = 1
    begin: Callable[[], None] | None = None

    def threads(self) -> ThreadPoolExecutor:
        """Return as many threads as there are streams."""
        return ThreadPoolExecutor(self.streams, thread_name_prefix="encoder", initializer=self.begin)

    def run_in_thread(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed a batch in such a thread: a model that is compiled is compiled for the cores that its thread has."""
        with self.threads() as pool:
            return pool.submit(self.run, batch).result()


def rate_of(
    run: Run,
    threads: Callable[[], ThreadPoolExecutor],
    streams: int,
    batch: NDArray[np.uint8],
    seconds: float,
) -> float:
    """Return images/s over at least some seconds, with as many batches in flight as there are streams."""
    with threads() as pool:
        batches = [batch] * streams
        # The first pass compiles, lays out weights, allocates.
        list(pool.map(run, batches))
        done, begun = 0, time.perf_counter()
        while not done or time.perf_counter() - begun < seconds:
            done += sum(len(vectors) for vectors in pool.map(run, batches))
        return done / (time.perf_counter() - begun)
