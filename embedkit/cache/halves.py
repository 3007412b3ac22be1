"""Vectors in half precision that are widened when they are first asked for as a whole: many never are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from embedkit.cache.later import Late
from embedkit.cache.mapped import let_go
from embedkit.cache.vectors import WIDENED_BLOCK, widen
from embedkit.machine import cores


@dataclass(frozen=True, eq=False)
class Halves(Late[np.ndarray]):
    """Vectors (n, d) of float16, a map of their file or an array."""

    stored: np.ndarray

    def now(self) -> np.ndarray:
        """Return them in float32, in an array that can't be written to."""
        found = np.empty(self.stored.shape, np.float32)
        rows = max(1, WIDENED_BLOCK // max(1, self.stored[:1].nbytes))

        def block(start: int) -> None:
            widen(self.stored[start : start + rows], found[start : start + rows])

        with ThreadPoolExecutor(min(4, cores())) as workers:
            list(workers.map(block, range(0, len(found), rows)))
        let_go(self.stored)
        found.flags.writeable = False
        return found
