"""Images from disk to pixels of the encoder's size, in worker processes that never import torch."""

import os
import signal
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import numpy as np

from embedkit import images
from embedkit.encoders import Preprocessing
from embedkit.errors import EmbedkitError

# A pool takes about half a second to start, which a few images are not worth.
_WORTH_A_POOL = 64

_DIED = (BrokenExecutor, MemoryError)

Task = tuple[Sequence[int], Sequence[str]]


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


def decode_rows(rows: Sequence[int], addresses: Sequence[str], preprocessing: Preprocessing) -> Decoded:
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
    rows: Sequence[int], addresses: Sequence[str], preprocessing: Preprocessing, *, workers: int, batch: int
) -> Generator[Decoded, None, None]:
    """Yield all rows in order, decoded ahead of their use by ``workers`` processes (0: by this one).

    At most two stretches of ``batch`` rows per worker are in flight, so memory does not grow with the set. Where a
    process dies, what was in flight is decoded again, one image at a time in a process of its own: an image that
    kills it is a failure, and the rest goes on.

    Raises:
        EmbedkitError: processes die whatever they are given.
    """
    tasks: deque[Task] = deque((rows[i : i + batch], addresses[i : i + batch]) for i in range(0, len(rows), batch))
    if workers == 0 or len(rows) < _WORTH_A_POOL:
        for task in tasks:
            yield decode_rows(*task, preprocessing)
        return
    while tasks:
        dropped = yield from _by_processes(tasks, preprocessing, workers)
        yield from _one_by_one(dropped, preprocessing)


def _by_processes(
    tasks: deque[Task], preprocessing: Preprocessing, workers: int
) -> Generator[Decoded, None, list[Task]]:
    """Take tasks from the left and yield them decoded; return those that were in flight when a process died."""
    with _pool(workers) as pool:
        flying: deque[tuple[Task, Future[Decoded]]] = deque()
        while tasks or flying:
            try:
                while tasks and len(flying) <= 2 * workers:
                    with _interrupts_held():
                        flying.append((tasks[0], pool.submit(decode_rows, *tasks[0], preprocessing)))
                    tasks.popleft()
                stretch = flying[0][1].result()
            except _DIED:
                return [task for task, _ in flying]
            flying.popleft()
            yield stretch
    return []


def _one_by_one(tasks: Sequence[Task], preprocessing: Preprocessing) -> Generator[Decoded, None, None]:
    waiting = deque((row, address) for task in tasks for row, address in zip(*task, strict=True))
    while waiting:
        with _pool(1) as pool:
            _check_that_it_lives(pool, preprocessing)
            while waiting:
                row, address = waiting.popleft()
                try:
                    with _interrupts_held():
                        future = pool.submit(decode_rows, [row], [address], preprocessing)
                    stretch = future.result()
                except _DIED:
                    message = f"{address}: the process that decoded it died. Save it again, or with fewer pixels"
                    pixels = np.empty((0, *preprocessing.shape), np.uint8)
                    yield Decoded([], pixels, [], [Failure(row, "killed", message)])
                    break
                yield stretch


def _check_that_it_lives(pool: Any, preprocessing: Preprocessing) -> None:
    try:
        with _interrupts_held():
            idle = pool.submit(decode_rows, [], [], preprocessing)
        idle.result()
    except _DIED as error:
        raise EmbedkitError(
            "decoding processes are killed before they decode anything, most likely for want of memory. What was done "
            "is kept: run the same command again, with --workers 0 if it happens again"
        ) from error


@contextmanager
def _pool(workers: int) -> Iterator[Any]:
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers, initializer=_end_with, initargs=(os.getpid(),))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, kill_workers=True)
