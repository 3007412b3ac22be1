"""Pixels to vectors to shards: batches of one size, whatever stretches come in, while the next ones are decoded."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embedkit.cache import Store
from embedkit.cache.shards import Rows
from embedkit.encoders import Encoder, Occasion, OutOfMemory, best_batch
from embedkit.extraction.job import Job

SHARD_ROWS = 256
# A processor is no faster with more than 16 (docs/speed.md), and two batches on their way take twice the memory.
_BATCH = {"cpu": 16, "cuda": 256}


def batch_for(job: Job, asked: int | None) -> int:
    """Return how many images a forward pass of this job takes: as asked, else what suits its device."""
    return asked or _BATCH.get(job.device(), _BATCH["cpu"])


Image = tuple[str, NDArray[np.uint8]]
Encoded = tuple[NDArray[np.float32], float]
"""Vectors, and the seconds that they took."""


@dataclass
class Embedder:
    """Fills batches, encodes them in threads beside this one and commits shards of their vectors, in order.

    Attributes:
        job: makes the encoder when the first batch is full. store: takes the shards. batch: images in a batch.
        images: how many are to come in all, at most. grows: whether larger batches are tried where they may be faster.
        note: told when the batch had to be halved, and of the engine.
        shards: what was committed. not_finite: digests of images whose vector has NaN or infinite values.
        seconds: spent in the encoder, summed over its threads.
    """

    job: Job
    store: Store
    batch: int
    images: int
    note: Callable[[str], None]
    grows: bool = False
    encoder: Encoder | None = None
    waiting: list[Image] = field(default_factory=list)
    flying: deque[tuple[list[Image], Future[Encoded]]] = field(default_factory=deque)
    done: list[tuple[str, np.ndarray]] = field(default_factory=list)
    shards: list[Rows] = field(default_factory=list)
    not_finite: set[str] = field(default_factory=set)
    seconds: float = 0.0
    _threads: ThreadPoolExecutor | None = None

    def add(self, digest: str, pixels: NDArray[np.uint8]) -> None:
        """Take an image of shape (size, size, 3) uint8; encode when a batch is full."""
        self.waiting.append((digest, pixels))
        if self._threads is None and len(self.waiting) >= self.batch:
            self._begin()
        while len(self.waiting) >= self.batch:
            self._launch()

    def _begin(self) -> None:
        """Make the encoder, and find its size of batch."""
        begun = time.perf_counter()
        occasion = Occasion(self._filled(self.waiting[: self.batch]), self.images, self.note)
        self.encoder = self.job.load(occasion)
        device = self.job.device()
        if self.grows and device != "cpu":
            self.batch = best_batch(self.encoder, self.job.configuration["encoder"], device, occasion)
        self._threads = self.encoder.threads()
        self.seconds += time.perf_counter() - begun

    def _launch(self) -> None:
        """Hand the next batch to a thread; where each has one to do and one to go on with, wait for the oldest."""
        if self._threads is None:
            self._begin()
        assert self._threads is not None
        images = self.waiting[: self.batch]
        del self.waiting[: self.batch]
        self.flying.append((images, self._threads.submit(self._encode, self._filled(images))))
        assert self.encoder is not None
        while len(self.flying) > self.encoder.streams + 1:
            self._land()

    def _filled(self, images: list[Image]) -> NDArray[np.uint8]:
        # Always the same batch shape: kernels choose their order of summation by it, and a vector must not
        # depend on how many images happened to be left.
        full = np.zeros((self.batch, *images[0][1].shape), np.uint8)
        for place, (_, pixels) in zip(full, images, strict=False):
            place[:] = pixels
        return full

    def _encode(self, full: NDArray[np.uint8]) -> Encoded:
        assert self.encoder is not None
        begun = time.perf_counter()
        return self.encoder.encode(full), time.perf_counter() - begun

    def _land(self) -> None:
        """Take the vectors of the oldest batch in flight."""
        images, future = self.flying[0]
        try:
            vectors, seconds = future.result()
        except OutOfMemory as error:
            self._halve(error)
            return
        self.flying.popleft()
        self.seconds += seconds
        with np.errstate(over="ignore"):
            X = vectors[: len(images)].astype(self.job.dtype)
        for (digest, _), vector in zip(images, X, strict=True):
            if np.isfinite(vector).all():
                self.done.append((digest, vector))
            else:
                self.not_finite.add(digest)
        if len(self.done) >= SHARD_ROWS:
            self.commit()

    def _halve(self, error: OutOfMemory) -> None:
        """Take back what is in flight, to go on with smaller batches."""
        if self.batch == 1:
            raise error
        self.batch //= 2
        self.note(f"{self.job.encoder}: not enough memory, so {self.batch} images at a time from here on")
        flown = [image for images, _ in self.flying for image in images]
        for _, future in self.flying:
            future.exception()
        self.flying.clear()
        self.waiting[:0] = flown

    def commit(self) -> None:
        """Write what is encoded as a shard."""
        if self.done:
            digests, vectors = zip(*self.done, strict=True)
            self.shards.append(self.store.add_shard(np.stack(vectors), list(digests)))
            self.done.clear()

    def finish(self) -> None:
        """Encode and commit the rest."""
        while self.waiting or self.flying:
            if self.waiting:
                self._launch()
            else:
                self._land()
        self.commit()

    def stop(self) -> None:
        """Commit what is encoded or being encoded, and let go of the threads; what only waits is left."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        while self.flying and not (self.flying[0][1].cancelled() or self.flying[0][1].exception()):
            self._land()
        self.commit()
