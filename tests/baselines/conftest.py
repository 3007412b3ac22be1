"""Small sets of images whose classes a small network tells apart in seconds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from embedkit.datasets import ImageSet


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep tests that run beside each other from waiting for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_set(folder: Path, name: str, n: int, classes: int = 2, first: int = 0) -> ImageSet:
    """Write n noisy images with a bright stripe whose height tells the class; two images make a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(first, first + n):
        rng = np.random.default_rng(number)
        label = (number // 2) % classes
        pixels = rng.normal(90, 30, (36, 40, 3))
        at = 4 + 30 * label // classes
        pixels[at : at + 6] += 90
        path = f"{number:04}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / path)
        rows.append({"id": path, "path": path, "label": f"class {label}", "group": f"patient {number // 2}"})
    return ImageSet(name, folder, pd.DataFrame(rows), {"label": ("label",)}, {})


def with_split(dataset: ImageSet, train: int, val: int = 0) -> ImageSet:
    """Return the set with a published split: the first rows train, the next ones val, the rest test."""
    rest = len(dataset) - train - val
    return replace(dataset, table=dataset.table.assign(split=["train"] * train + ["val"] * val + ["test"] * rest))


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Eighty images of two classes without a split."""
    return write_set(tmp_path_factory.mktemp("stripes"), "stripes", 80)
