"""Small sets on the disk, in the published layouts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from embedkit.datasets import DatasetCard

MEDMNIST_COUNTS = {"train": 4, "val": 2, "test": 3}


def image(path: Path, frames: int = 1) -> Path:
    """Write a real 2 x 2 image, of several frames where the format has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.new("L", (2, 2), 10 * number) for number in range(frames)]
    pages[0].save(path, save_all=frames > 1, append_images=pages[1:]) if frames > 1 else pages[0].save(path)
    return path


def images(root: Path, *paths: str) -> Path:
    for path in paths:
        image(root / path)
    return root


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def medmnist_arrays(card: DatasetCard, size: int) -> dict[str, np.ndarray]:
    """Return the six arrays of a MedMNIST npz, few rows, every class or label present in train."""
    several = len(next(iter(card.targets.values())))
    arrays: dict[str, np.ndarray] = {}
    for split, count in MEDMNIST_COUNTS.items():
        arrays[f"{split}_images"] = np.arange(count * size * size, dtype=np.uint8).reshape(count, size, size)
        if several > 1:
            arrays[f"{split}_labels"] = np.eye(count, several, dtype=np.uint8)
        else:
            arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % len(card.classes))[:, None]
    return arrays


def npz(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path
