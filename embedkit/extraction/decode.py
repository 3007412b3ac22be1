"""Images from disk to pixels of the encoder's size, in worker processes that never import torch."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from embedkit import images
from embedkit.encoders import Picture, Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.extraction.pool import DiedError, Pool

# A pool takes about half a second to start, which a few images are not worth.
_WORTH_A_POOL = 64

_DIED = (DiedError, MemoryError)

Task = tuple[list[int], list[str]]


class Prepares(Protocol):
    """What is made of the pixels (H, W, 3) of an image: a `Preprocessing`, or what else gives uint8 of one shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what `apply` returns."""

    @property
    def least(self) -> int | None:
        """Pixels that the shorter side of a JPEG must keep, None for the full size."""

    @property
    def on_device(self) -> bool:
        """Whether a plain JPEG stays as it is, to be decoded where the encoder is computed."""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return what is made of one image."""


@dataclass(frozen=True)
class Way:
    """A preprocessing, and how a JPEG is decoded for it: how large at least, or only later."""

    preprocessing: Preprocessing
    least: int | None = None
    on_device: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what the encoder sees."""
        return self.preprocessing.shape

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the image as the encoder sees it."""
        return self.preprocessing.apply(image)


@dataclass(frozen=True)
class Failure:
    """An image that can't be read, and why."""

    row: int
    reason: str
    message: str


@dataclass(frozen=True)
class Decoded:
    """A stretch of rows: those that could be read, with pixels and digests; and the rest.

    ``pixels`` has an array (n, *shape) uint8 for each way of preprocessing; for one with JPEGs that are decoded on the
    device, a list of these and of the arrays of other images.
    """

    rows: list[int]
    pixels: list[Any]
    digests: list[str]
    failures: list[Failure]


def decode_rows(rows: Sequence[int], addresses: Sequence[str], ways: Sequence[Prepares]) -> Decoded:
    """Read the images at ``addresses`` and preprocess each in every way."""
    done: list[int] = []
    pixels: list[list[Picture]] = []
    digests, failures = [], []
    for row, address in zip(rows, addresses, strict=True):
        try:
            loaded, digest = _loaded(address, ways)
            pixels.append([_prepared(image, way) for image, way in zip(loaded, ways, strict=True)])
        except images.ImageError as error:
            failures.append(Failure(row, error.reason, str(error)))
        except MemoryError:
            failures.append(Failure(row, "memory", f"{address}: not enough memory to decode it"))
        else:
            done.append(row)
            digests.append(digest)
    columns = zip(ways, zip(*pixels, strict=True), strict=True) if pixels else ()
    stacked = [list(each) if way.on_device else np.stack(each) for way, each in columns] or _nothing(ways)
    return Decoded(done, stacked, digests, failures)


def _loaded(address: str, ways: Sequence[Prepares]) -> "tuple[list[images.Jpeg | np.ndarray], str]":
    """Read an image once, and return it as each way has it decoded, and its digest.

    Ways for which a JPEG is decoded at the same fraction of its size share the pixels.
    """
    found = images.read(address)
    several = len({(way.least, way.on_device) for way in ways}) > 1
    shown: dict[Any, images.Jpeg | np.ndarray] = {}
    each = []
    for way in ways:
        at = way.on_device, found.size(way.least) if several else None
        if at not in shown:
            shown[at] = found.undecoded() if way.on_device else found.pixels(way.least)
        each.append(shown[at])
    return each, found.digest


def _prepared(image: "np.ndarray | images.Jpeg", way: Prepares) -> Picture:
    return image if isinstance(image, images.Jpeg) else way.apply(image)


def _nothing(ways: Sequence[Prepares]) -> list[Any]:
    return [[] if way.on_device else np.empty((0, *way.shape), np.uint8) for way in ways]


class Decoders:
    """Decoding processes that are started when they are first needed, and stay for the next call of `decoded`.

    Attributes:
        workers: how many; 0 decodes in the process that asks.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Pool | None = None

    @contextmanager
    def lent(self) -> Iterator[Pool]:
        """Lend the pool; where it isn't brought back in order, nothing of it stays."""
        if self._pool is None:
            self._pool = Pool(self.workers)
        try:
            yield self._pool
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the processes, whatever they are at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.end()


def decoded(
    rows: Sequence[int] | np.ndarray,
    addresses: Sequence[str],
    ways: Sequence[Prepares],
    *,
    workers: int | Decoders,
    batch: int,
) -> Generator[Decoded, None, None]:
    """Yield all rows in order, each preprocessed in every way, ahead of their use by ``workers`` processes (0: none).

    Processes are started for this call, unless they are given.

    At most two stretches of ``batch`` rows per worker are in flight, so memory does not grow with the set. Where a
    process dies, what was in flight is decoded again, one image at a time in a process of its own: an image that
    kills it is a failure, and the rest goes on.

    Raises:
        EmbedkitError: processes die whatever they are given.
    """

    def task(start: int) -> Task:
        part = slice(start, start + batch)
        return np.asarray(rows[part]).tolist(), list(addresses[part])

    starts = deque(range(0, len(rows), batch))
    decoders = workers if isinstance(workers, Decoders) else Decoders(workers)
    if decoders.workers == 0 or len(rows) < _WORTH_A_POOL:
        for start in starts:
            yield decode_rows(*task(start), ways)
        return
    try:
        while starts:
            dropped = yield from _by_processes(starts, task, ways, decoders)
            yield from _one_by_one(dropped, ways)
    finally:
        if decoders is not workers:
            decoders.end()


def _by_processes(
    starts: deque[int], task_at: Callable[[int], Task], ways: Sequence[Prepares], decoders: Decoders
) -> Generator[Decoded, None, list[Task]]:
    """Take the starts of tasks from the left and yield them decoded; return the tasks in flight when a process died."""
    with decoders.lent() as pool:
        flying: deque[tuple[Task, Future[Decoded]]] = deque()
        while starts or flying:
            try:
                while starts and len(flying) <= 2 * decoders.workers:
                    task = task_at(starts[0])
                    flying.append((task, pool.submit(decode_rows, *task, ways)))
                    starts.popleft()
                stretch = flying[0][1].result()
            except _DIED:
                decoders.end()
                return [task for task, _ in flying]
            flying.popleft()
            yield stretch
    return []


def _one_by_one(tasks: Sequence[Task], ways: Sequence[Prepares]) -> Generator[Decoded, None, None]:
    waiting = deque((row, address) for task in tasks for row, address in zip(*task, strict=True))
    one = Decoders(1)
    try:
        while waiting:
            with one.lent() as pool:
                _check_that_it_lives(pool, ways)
                while waiting:
                    row, address = waiting.popleft()
                    try:
                        stretch = pool.submit(decode_rows, [row], [address], ways).result()
                    except _DIED:
                        one.end()
                        message = f"{address}: the process that decoded it died. Save it again, or with fewer pixels"
                        yield Decoded([], _nothing(ways), [], [Failure(row, "killed", message)])
                        break
                    yield stretch
    finally:
        one.end()


def _check_that_it_lives(pool: Pool, ways: Sequence[Prepares]) -> None:
    try:
        pool.submit(decode_rows, [], [], ways).result()
    except _DIED as error:
        raise EmbedkitError(
            "decoding processes are killed before they decode anything, most likely for want of memory. What was done "
            "is kept: run the same command again, with --workers 0 if it happens again"
        ) from error
