"""The digests of many images in 16 bytes each: their 32 hexadecimal digits would be a Python string of 96 bytes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embedkit.datasets.packed import Lazy

Digests = NDArray[np.bytes_]
"""Of shape (n,), 16 bytes each. numpy drops zeros from the end of one element: take what is needed from the whole."""

RAW = np.dtype("S16")
UNKNOWN = b""


def packed(texts: Iterable[object]) -> Digests:
    """Return digests of 32 hexadecimal digits; what is none, such as None, is UNKNOWN."""
    return np.array([_raw(text) for text in texts], RAW)


def _raw(text: object) -> bytes:
    try:
        raw = bytes.fromhex(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return UNKNOWN
    return raw if len(raw) == RAW.itemsize else UNKNOWN


def unpacked(digests: Digests) -> list[str]:
    """Return each as 32 hexadecimal digits."""
    digits = digests.tobytes().hex()
    return [digits[start : start + 32] for start in range(0, len(digits), 32)]


class Hexadecimal(Lazy):
    """Digests as 32 hexadecimal digits, each made when it is asked for."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests)

    def one(self, row: int) -> str:
        """As in `Lazy`."""
        return unpacked(self._digests[[row]])[0]

    def some(self, rows: slice) -> list[str]:
        """As in `Lazy`."""
        return unpacked(self._digests[rows])

    def mostly_distinct(self) -> bool:
        """Say whether there are more of them than half of the rows."""
        return len(np.unique(self._digests)) > len(self) // 2


def gathered(parts: Iterable[Digests]) -> Digests:
    """Return what is in any of them, each once and in rising order, as `among` wants it."""
    every: Digests = np.unique(np.concatenate([np.empty(0, RAW), *parts]))
    known: Digests = every[every != UNKNOWN]
    return known


def among(digests: Digests, known: Digests) -> NDArray[np.bool_]:
    """Say of each digest whether it is known; UNKNOWN is not.

    Args:
        known: as `gathered` returns it.
    """
    if not len(known):
        return np.zeros(len(digests), bool)
    places = np.searchsorted(known, digests)
    places[places == len(known)] = 0
    there: NDArray[np.bool_] = known[places] == digests
    return there


class Firsts:
    """Tells which row is the first to have its digest, in 8 bytes a row where a set of strings takes 130.

    It is a hash table of row numbers, with open addressing and linear steps.

    Args:
        digests: of all rows; it may be filled in later, each row before it is asked for.
    """

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        # One more than the row that is there, 0 for none; half of them stay empty.
        self._slots = np.zeros(2 * len(digests) + 1, np.uint32)

    def is_first(self, row: int) -> bool:
        """Say whether no row that was asked for before has the digest of this one."""
        digest = self._digests[row]
        slot = int.from_bytes(digest[:8]) % len(self._slots)
        while held := int(self._slots[slot]):
            if self._digests[held - 1] == digest:
                return False
            slot = (slot + 1) % len(self._slots)
        self._slots[slot] = row + 1
        return True
