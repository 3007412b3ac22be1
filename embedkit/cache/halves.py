"""Vectors in half precision that are widened when they are first asked for as a whole: many never are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import overload

import numpy as np

from embedkit.cache.mapped import let_go
from embedkit.cache.vectors import WIDENED_BLOCK, widen
from embedkit.machine import cores


@dataclass(frozen=True, eq=False)
class Halves:
    """Vectors (n, d) of float16, a map of their file or an array."""

    stored: np.ndarray

    def widened(self) -> np.ndarray:
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


class VectorsField:
    """The attribute of a dataclass that is set to vectors, or to `Halves`, and is vectors when got."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, one: None, owner: type) -> "VectorsField": ...
    @overload
    def __get__(self, one: object, owner: type) -> np.ndarray: ...
    def __get__(self, one: object | None, owner: type) -> "VectorsField | np.ndarray":
        if one is None:
            # So a dataclass sees that there is no default.
            raise AttributeError(self.name)
        held: Halves | np.ndarray = vars(one)[self.name]
        if isinstance(held, Halves):
            vars(one)[self.name] = held = held.widened()
        return held

    def __set__(self, one: object, value: np.ndarray | Halves) -> None:
        vars(one)[self.name] = value
