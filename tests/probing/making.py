"""Embeddings with a known structure: classes that separate a little, several images per patient."""

from typing import Any

import numpy as np

from embedkit.cache import EmbeddingSet
from embedkit.extraction import Silent
from embedkit.probing.target import Labels


class Counted(Silent):
    """Counts the fits: ``total`` is said at the start, ``fits`` are done, ``over`` at the end."""

    def __init__(self) -> None:
        self.what, self.total, self.fits, self.over = "", 0, 0, False

    def start(self, what: str, total: int, unit: str = "images") -> None:
        self.what, self.total = f"{what}, {unit}", total

    def advance(self, count: int) -> None:
        self.fits += count

    def stop(self) -> None:
        self.over = True


QUICK: dict[str, Any] = {"replicates": 50, "folds": 3}


def clustered(
    n: int = 240, d: int = 12, classes: int = 3, patients: int = 60, signal: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X (n, d), y (n,) and groups (n,); images of a patient are alike."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(patients, size=n)
    y = rng.integers(classes, size=n)
    X = rng.normal(size=(n, d)) + rng.normal(size=(patients, d))[groups]
    X[np.arange(n), y] += signal
    return X.astype(np.float32), y, groups


def a_set(seed: int = 0, name: str = "arrays", split: Any = None, **how: Any) -> EmbeddingSet:
    X, y, groups = clustered(seed=seed, **how)
    return EmbeddingSet.from_arrays(X, y, groups=groups, split=split, name=name)


def labels_of(y: np.ndarray) -> Labels:
    names, codes = np.unique(y, return_inverse=True)
    return Labels("label", tuple(map(str, names)), np.eye(len(names))[codes], exclusive=True)


def split_of(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(["train", "val", "test"], n, p=[0.6, 0.2, 0.2])
