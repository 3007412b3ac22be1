"""Pixels to vectors to shards: batches of one size, whatever stretches come in."""

from dataclasses import dataclass, field

import numpy as np

from embedkit.cache import Store
from embedkit.cache.shards import Rows
from embedkit.encoders import Encoder
from embedkit.extraction.job import Job

SHARD_ROWS = 256


@dataclass
class Embedder:
    """Fills batches, encodes them and commits shards of their vectors.

    Attributes:
        job: makes the encoder when the first batch is full. store: takes the shards. batch: images in a batch.
        shards: what was committed. not_finite: digests of images whose vector has NaN or infinite values.
    """

    job: Job
    store: Store
    batch: int
    encoder: Encoder | None = None
    waiting: list[tuple[str, np.ndarray]] = field(default_factory=list)
    done: list[tuple[str, np.ndarray]] = field(default_factory=list)
    shards: list[Rows] = field(default_factory=list)
    not_finite: set[str] = field(default_factory=set)

    def add(self, digest: str, pixels: np.ndarray) -> None:
        """Take an image of shape (size, size, 3) uint8; encode when a batch is full."""
        self.waiting.append((digest, pixels))
        if len(self.waiting) == self.batch:
            self._encode()

    def _encode(self) -> None:
        if not self.waiting:
            return
        if self.encoder is None:
            self.encoder = self.job.load()
        digests, pixels = zip(*self.waiting, strict=True)
        # Always the same batch shape: kernels choose their order of summation by it, and a vector must not
        # depend on how many images happened to be left.
        full = np.zeros((self.batch, *pixels[0].shape), np.uint8)
        full[: len(pixels)] = pixels
        with np.errstate(over="ignore"):
            X = self.encoder.encode(full)[: len(pixels)].astype(self.job.dtype)
        for digest, vector in zip(digests, X, strict=True):
            if np.isfinite(vector).all():
                self.done.append((digest, vector))
            else:
                self.not_finite.add(digest)
        self.waiting.clear()
        if len(self.done) >= SHARD_ROWS:
            self.commit()

    def commit(self) -> None:
        """Write what is encoded as a shard."""
        if self.done:
            digests, vectors = zip(*self.done, strict=True)
            self.shards.append(self.store.add_shard(np.stack(vectors), list(digests)))
            self.done.clear()

    def finish(self) -> None:
        """Encode and commit the rest."""
        self._encode()
        self.commit()
