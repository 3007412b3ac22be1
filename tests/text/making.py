"""A text tower without a model, whose vectors can be told by hand, and images around them."""

import hashlib
from collections.abc import Sequence

import numpy as np

from embedkit.cache import EmbeddingSet
from embedkit.encoders import TextEncoder, TextTower

DIM = 16
SCALE = 20.0
CONFIGURATION = {"backend": "by-hand", "architecture": "", "weights": "0", "output": "projected", "precision": "fp32"}


def vector(text: str) -> np.ndarray:
    """Return a vector that only this text has."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=DIM)


class Counted:
    """A tower by hand that says how often it was built and what it embedded."""

    def __init__(self, context: int = 100, **configuration: object) -> None:
        self.built, self.embedded = 0, []
        self.context = context
        self.tower = TextTower("by hand", "by-hand", CONFIGURATION | configuration, self._load)

    def _load(self) -> TextEncoder:
        self.built += 1
        return TextEncoder(self._run, lambda text: len(text.split()), self.context, SCALE)

    def _run(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += texts
        return np.stack([vector(text) for text in texts]).astype(np.float32)


def images(X: np.ndarray, y: object, **columns: object) -> EmbeddingSet:
    """Return embeddings in the space of the tower by hand."""
    one = EmbeddingSet.from_arrays(X.astype(np.float32), y, **columns)
    return EmbeddingSet(one.X, one.table, {**one.provenance, "configuration": {"encoder": CONFIGURATION}})


def around(texts: Sequence[str], each: int = 30, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images around each text's vector and the number of the text."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(texts)), each)
    return np.stack([vector(text) for text in texts])[y] + noise * rng.normal(size=(len(y), DIM)), y
