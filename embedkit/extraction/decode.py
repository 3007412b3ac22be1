"""Images from disk to pixels of the encoder's size, in worker processes that never import torch."""

import os
import signal
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Protocol

import numpy as np

from embedkit import images
from embedkit.errors import EmbedkitError

# A pool takes about half a second to start, which a few images are not worth.
_WORTH_A_POOL = 64


class Prepares(Protocol):
    """What is made of the pixels (H, W, 3) of an image: a `Preprocessing`, or what else gives uint8 of one shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what `apply` returns."""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return what is made of one image."""


@dataclass(frozen=True)
class Failure:
    """An image that can't be read, and why."""

    row: int
    reason: str
    message: str


@dataclass(frozen=True)
class Decoded:
    """A stretch of rows: those that could be read, with pixels (n, size, size, 3) uint8 and digests; and the rest."""

    rows: list[int]
    pixels: np.ndarray
    digests: list[str]
    failures: list[Failure]


def decode_rows(rows: Sequence[int], addresses: Sequence[str], preprocessing: Prepares) -> Decoded:
    """Read and preprocess the images at ``addresses``."""
    done: list[int] = []
    pixels, digests, failures = [], [], []
    for row, address in zip(rows, addresses, strict=True):
        try:
            image, digest = images.load(address)
            pixels.append(preprocessing.apply(image))
        except images.ImageError as error:
            failures.append(Failure(row, error.reason, str(error)))
        except MemoryError:
            failures.append(Failure(row, "memory", f"{address}: not enough memory to decode it"))
        else:
            done.append(row)
            digests.append(digest)
    stacked = np.stack(pixels) if pixels else np.empty((0, *preprocessing.shape), np.uint8)
    return Decoded(done, stacked, digests, failures)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    # Ctrl-C goes to the whole process group; the parent alone answers it. Processes started here inherit the block.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int) -> None:
    # A parent that is killed can't end its workers; it may be gone before this one is up.
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def decoded(
    rows: Sequence[int], addresses: Sequence[str], preprocessing: Prepares, *, workers: int, batch: int
) -> Generator[Decoded, None, None]:
    """Yield all rows in order, decoded ahead of their use by ``workers`` processes (0: by this one).

    At most two stretches of ``batch`` rows per worker are in flight, so memory does not grow with the set.

    Raises:
        EmbedkitError: a worker died.
    """
    tasks = [(rows[i : i + batch], addresses[i : i + batch]) for i in range(0, len(rows), batch)]
    if workers == 0 or len(rows) < _WORTH_A_POOL:
        for task in tasks:
            yield decode_rows(*task, preprocessing)
        return

    from loky import ProcessPoolExecutor
    from loky.process_executor import BrokenProcessPool

    pool = ProcessPoolExecutor(workers, initializer=_end_with, initargs=(os.getpid(),))
    flying: deque[Future[Decoded]] = deque()
    try:
        for task in tasks:
            with _interrupts_held():
                flying.append(pool.submit(decode_rows, *task, preprocessing))
            if len(flying) > 2 * workers:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    except BrokenProcessPool as error:
        raise EmbedkitError(
            "a decoding process was killed, most likely for want of memory. What was done is kept: "
            "run the same command again, with --workers 1 if it happens again"
        ) from error
    finally:
        pool.shutdown(wait=True, kill_workers=True)
