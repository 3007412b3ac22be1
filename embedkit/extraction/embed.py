"""Pixels to vectors to shards: batches of one size, whatever stretches come in, while the next ones are decoded."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.cache import Store
from embedkit.cache.shards import Rows
from embedkit.encoders import Encoder, Occasion, OnDevice, OutOfMemory, Picture, best_batch, kind_of
from embedkit.extraction.job import Job
from embedkit.images import ImageError, Jpeg

if TYPE_CHECKING:
    import torch

SHARD_ROWS = 256
# A processor is no faster with more than 16 (docs/speed.md), and two batches on their way take twice the memory.
_BATCH = {"cpu": 16, "cuda": 256}


def batch_for(job: Job, asked: int | None) -> int:
    """Return how many images a forward pass of this job takes: as asked, else what suits its device."""
    return asked or _BATCH.get(kind_of(job.device()), _BATCH["cpu"])


Image = tuple[str, Picture]
Encoded = tuple[NDArray[np.float32], dict[int, ImageError], float]
"""Vectors, the errors of images that could not be decoded after all, by their place, and the seconds that it took."""
Lost = tuple[str, str]
"""Why an image has no vector: the reason, and in words what is wrong with it."""

_NOT_FINITE = ("not finite", "its embedding has NaN or infinite values; try --precision fp32")


@dataclass
class Embedder:
    """Fills batches, encodes them in threads beside this one and commits shards of their vectors, in order.

    Attributes:
        job: makes the encoder when the first batch is full. store: takes the shards. batch: images in a batch.
        images: how many are to come in all, at most. grows: whether larger batches are tried where they may be faster.
        note: told when the batch had to be halved, and of the engine.
        before: the engine of the run that this one goes on from, if there is one.
        shards: what was committed. lost: digests of images that have no vector, and why.
        seconds: spent in the encoder, summed over its threads.
    """

    job: Job
    store: Store
    batch: int
    images: int
    note: Callable[[str], None]
    grows: bool = False
    before: str = ""
    encoder: Encoder | None = None
    waiting: list[Image] = field(default_factory=list)
    flying: deque[tuple[list[Image], Future[Encoded]]] = field(default_factory=deque)
    done: list[tuple[str, np.ndarray]] = field(default_factory=list)
    shards: list[Rows] = field(default_factory=list)
    lost: dict[str, Lost] = field(default_factory=dict)
    seconds: float = 0.0
    _threads: ThreadPoolExecutor | None = None
    _on_device: OnDevice | None = None

    def add(self, digest: str, pixels: Picture) -> None:
        """Take an image of shape (size, size, 3) uint8, or a JPEG for the device; encode when a batch is full."""
        self.waiting.append((digest, pixels))
        if self._threads is None and len(self.waiting) >= self.batch:
            self._begin()
        while len(self.waiting) >= self.batch:
            self._launch()

    def _begin(self) -> None:
        """Make the encoder, and find its size of batch."""
        begun = time.perf_counter()
        device = self.job.device()
        if self.job.way.on_device:
            self._on_device = OnDevice(self.job.preprocessing, device)
        sample, _ = self._filled(self.waiting[: self.batch], self.batch)
        pixels = sample if isinstance(sample, np.ndarray) else sample.cpu().numpy()
        occasion = Occasion(pixels, self.images, self.note, self.before)
        self.encoder = self.job.load(occasion, device)
        if self.grows and kind_of(device) != "cpu":
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
        self.flying.append((images, self._threads.submit(self._encode, images, self.batch)))
        assert self.encoder is not None
        while len(self.flying) > self.encoder.streams + 1:
            self._land()

    def _filled(
        self, images: list[Image], batch: int
    ) -> "tuple[NDArray[np.uint8] | torch.Tensor, dict[int, ImageError]]":
        # Always the same batch shape: kernels choose their order of summation by it, and a vector must not
        # depend on how many images happened to be left.
        if self._on_device is not None:
            return self._on_device.pixels([picture for _, picture in images], batch)
        pixels = [picture for _, picture in images if isinstance(picture, np.ndarray)]
        full = np.zeros((batch, *pixels[0].shape), np.uint8)
        for place, image in zip(full, pixels, strict=False):
            place[:] = image
        return full, {}

    def _encode(self, images: list[Image], batch: int) -> Encoded:
        assert self.encoder is not None
        begun = time.perf_counter()
        full, errors = self._filled(images, batch)
        return self.encoder.encode(full), errors, time.perf_counter() - begun

    def _land(self) -> None:
        """Take the vectors of the oldest batch in flight."""
        images, future = self.flying[0]
        try:
            vectors, errors, seconds = future.result()
        except OutOfMemory as error:
            self._halve(error)
            return
        self.flying.popleft()
        self.seconds += seconds
        with np.errstate(over="ignore"):
            X = vectors[: len(images)].astype(self.job.dtype)
        for place, ((digest, picture), vector) in enumerate(zip(images, X, strict=True)):
            if place in errors:
                self.lost[digest] = _why(errors[place], picture)
            elif np.isfinite(vector).all():
                self.done.append((digest, vector))
            else:
                self.lost[digest] = _NOT_FINITE
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
            engine = self.encoder.engine if self.encoder else ""
            self.shards.append(self.store.add_shard(np.stack(vectors), list(digests), engine))
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


def _why(error: ImageError, picture: Picture) -> Lost:
    # Another file may have the same bytes: whoever tells the reason names the file.
    name = picture.name if isinstance(picture, Jpeg) else ""
    return error.reason, str(error).removeprefix(f"{name}: ")
