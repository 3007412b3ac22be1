"""Which images of a set likely have text burned into their pixels."""

from dataclasses import dataclass

import numpy as np

from embedkit.datasets import ImageSet
from embedkit.extraction.decode import decoded
from embedkit.extraction.progress import Progress, Silent
from embedkit.images.lettering import LEAST_LETTERS, letters_in_a_row
from embedkit.machine import cores

_STRETCH = 32


@dataclass(frozen=True)
class _Letters:
    """Stands where a preprocessing does: one number an image."""

    shape: tuple[int, ...] = (1,)
    least: int | None = None
    on_device: bool = False

    def apply(self, image: np.ndarray) -> np.ndarray:
        return np.array([min(letters_in_a_row(image), 255)], np.uint8)


def find_text(dataset: ImageSet, workers: int | None = None, progress: Progress | None = None) -> list[str]:
    """Return the paths of the images in which letters stand in a row, as `embedkit.images.lettering` finds them.

    Args:
        workers: processes, by default one per core. progress: told of every step.
    """
    tell, addresses = progress or Silent(), dataset.addresses()
    count = cores() if workers is None else workers
    paths, found = dataset.table["path"].tolist(), []
    tell.start(f"{dataset.name}  text", len(addresses))
    try:
        for stretch in decoded(range(len(addresses)), addresses, [_Letters()], workers=count, batch=_STRETCH):
            found += [
                paths[row] for row, n in zip(stretch.rows, stretch.pixels[0][:, 0], strict=True) if n >= LEAST_LETTERS
            ]
            tell.advance(len(stretch.rows) + len(stretch.failures))
    finally:
        tell.stop()
    return found
