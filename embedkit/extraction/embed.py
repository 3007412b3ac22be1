"""Pixels to vectors to shards: batches of one size, whatever stretches come in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from embedkit.cache import Store
from embedkit.cache.shards import Rows
from embedkit.encoders import Encoder, OutOfMemory
from embedkit.extraction.job import Job

SHARD_ROWS = 256


@dataclass
class Embedder:
    """Fills batches, encodes them and commits shards of their vectors.

    Attributes:
        job: makes the encoder when the first batch is full. store: takes the shards. batch: images in a batch.
        note: told when the batch had to be halved.
        shards: what was committed. not_finite: digests of images whose vector has NaN or infinite values.
        seconds: spent in the encoder.
    """

    job: Job
    store: Store
    batch: int
    note: Callable[[str], None]
    encoder: Encoder | None = None
    waiting: list[tuple[str, np.ndarray]] = field(default_factory=list)
    done: list[tuple[str, np.ndarray]] = field(default_factory=list)
    shards: list[Rows] = field(default_factory=list)
    not_finite: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, digest: str, pixels: np.ndarray) -> None:
        """Take an image of shape (size, size, 3) uint8; encode when a batch is full."""
        self.waiting.append((digest, pixels))
        while len(self.waiting) >= self.batch:
            self._encode()

    def _encode(self) -> None:
        begun = time.perf_counter()
        if self.encoder is None:
            self.encoder = self.job.load()
        digests, pixels = zip(*self.waiting[: self.batch], strict=True)
        # Always the same batch shape: kernels choose their order of summation by it, and a vector must not
        # depend on how many images happened to be left.
        full = np.zeros((self.batch, *pixels[0].shape), np.uint8)
        full[: len(pixels)] = pixels
        try:
            with np.errstate(over="ignore"):
                X = self.encoder.encode(full)[: len(pixels)].astype(self.job.dtype)
        except OutOfMemory as error:
            self._halve(error)
            return
        finally:
            self.seconds += time.perf_counter() - begun
        for digest, vector in zip(digests, X, strict=True):
            if np.isfinite(vector).all():
                self.done.append((digest, vector))
            else:
                self.not_finite.add(digest)
        del self.waiting[: self.batch]
        if len(self.done) >= SHARD_ROWS:
            self.commit()

    def _halve(self, error: OutOfMemory) -> None:
        if self.batch == 1:
            raise error
        self.batch //= 2
        self.note(f"{self.job.encoder}: not enough memory, so {self.batch} images at a time from here on")

    def commit(self) -> None:
        """Write what is encoded as a shard."""
        if self.done:
            digests, vectors = zip(*self.done, strict=True)
            self.shards.append(self.store.add_shard(np.stack(vectors), list(digests)))
            self.done.clear()

    def finish(self) -> None:
        """Encode and commit the rest."""
        while self.waiting:
            self._encode()
        self.commit()
