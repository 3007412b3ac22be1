"""A few hundred images of a set, drawn without a look at their labels: the same ones in every run."""

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedkit.datasets import ImageSet
from embedkit.extraction.decode import Way, decoded
from embedkit.machine import cores

_STRETCH = 32


@dataclass(frozen=True)
class Drawn:
    """Images as an encoder takes them.

    Attributes:
        rows: in the table of the set. pixels: (n, h, w, 3) uint8. digests: as in a cache file.
    """

    rows: list[int]
    pixels: NDArray[np.uint8]
    digests: list[str]


def in_drawn_order(dataset: ImageSet, split: str | None = None) -> list[int]:
    """Return the rows of a set, or of one of its splits, in the order of a hash of their ids.

    A set without such a split gives all of its rows.
    """
    table = dataset.table
    rows = list(range(len(table)))
    if split is not None and "split" in table and (table["split"] == split).any():
        rows = np.flatnonzero(table["split"] == split).tolist()
    ids = table["id"].astype(str).tolist()
    return sorted(rows, key=lambda row: hashlib.sha256(ids[row].encode()).digest())


def draw(
    dataset: ImageSet, rows: Sequence[int], count: int, way: Way, workers: int | None, without: Set[str] = frozenset()
) -> Drawn:
    """Read the first ``count`` of the rows that can be read; the others are passed over, no image is taken twice.

    Args:
        rows: from `in_drawn_order`. way: how they are decoded and prepared. workers: decoding processes, by default
            one per core. without: digests of images that are passed over too.
    """
    addresses = dataset.addresses()
    taken: dict[str, tuple[int, NDArray[np.uint8]]] = {}
    each = cores() if workers is None else workers
    stretches = decoded(rows, [addresses[row] for row in rows], [way], workers=each, batch=_STRETCH)
    try:
        for stretch in stretches:
            for row, digest, image in zip(stretch.rows, stretch.digests, stretch.pixels[0], strict=True):
                if len(taken) < count and digest not in without:
                    taken.setdefault(digest, (row, image))
            if len(taken) == count:
                break
    finally:
        stretches.close()
    images = [image for _, image in taken.values()]
    pixels = np.stack(images) if images else np.empty((0, *way.shape), np.uint8)
    return Drawn([row for row, _ in taken.values()], pixels, list(taken))
