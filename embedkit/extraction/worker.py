"""A worker on any machine: rows in, shards and what became of each row out; it needs no lock and knows no set."""

import hashlib
import os
import pickle
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embedkit.cache import Store
from embedkit.cache.errors import writing_to
from embedkit.cache.shards import Rows
from embedkit.cache.whole import TEMPORARY
from embedkit.cost import Cost, measured
from embedkit.errors import EmbedkitError
from embedkit.extraction.decode import Decoded, Decoders, Failure, decoded
from embedkit.extraction.embed import SHARD_ROWS, Embedder, Lost, batch_for
from embedkit.extraction.heap import kept_heap
from embedkit.extraction.job import Job

_DECODED_TOGETHER = 32
_SHARES_PER_WORKER = 8
_TRIES = 4


@dataclass(frozen=True)
class Share:
    """Rows that the same encoders need; ``which`` are their positions among the worker's encoders."""

    rows: tuple[int, ...]
    addresses: tuple[str, ...]
    which: tuple[int, ...]

    def cut(self, size: int) -> "Iterator[Share]":
        """Yield it in pieces of so many rows."""
        for start in range(0, len(self.rows), size):
            end = start + size
            yield Share(self.rows[start:end], self.addresses[start:end], self.which)


def pieces(shares: Sequence[Share], workers: int, batch: int | None, most: int) -> Iterator[Share]:
    """Yield shares in pieces for so many workers, each of whole stretches and of about ``most`` rows at most."""
    rows = sum(len(share.rows) for share in shares)
    stretch = stretch_rows(batch)
    size = min(max(rows // (workers * _SHARES_PER_WORKER), 1), most)
    for share in shares:
        yield from share.cut(-(-size // stretch) * stretch)


@dataclass(frozen=True)
class Work:
    """What workers elsewhere are to do.

    Attributes:
        shares: rows that the same encoders need. jobs, stores: the encoders, and where the vectors of each go.
        decoders: decoding processes, as they are asked for. batch: images per forward pass, by default that of the
            device.
        before: as in `Embedder`, of each job.
    """

    shares: Sequence[Share]
    jobs: Sequence[Job]
    stores: Sequence[Store]
    decoders: int | None
    batch: int | None
    before: Sequence[str]

    @property
    def images(self) -> int:
        """How many rows there are."""
        return sum(len(share.rows) for share in self.shares)


@dataclass
class Made:
    """What one encoder has committed since it was last asked.

    Attributes:
        which: its position among the worker's encoders.
        shards: vectors. lost: digests of images that have no vector, and why.
        engine: what computed them. seconds: spent in the encoder.
        multiply_adds: of one image, None where the encoder can't be seen into.
    """

    which: int
    shards: list[Rows]
    lost: dict[str, Lost]
    engine: str
    seconds: float
    multiply_adds: int | None


@dataclass
class Done:
    """What became of a stretch of rows: those that could be read, with their digests, the others; and new vectors.

    Vectors may come with a later stretch, for encoders don't wait between them; the last ones of a share come with its
    ``cost``. ``error`` is what stopped the worker, in words for the user.
    """

    rows: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cost: Cost | None = None
    error: str = ""


def stretch_rows(batch: int | None) -> int:
    """Return how many rows make a stretch that is told of at once: a shard, in whole batches."""
    return SHARD_ROWS if batch is None else batch * -(-SHARD_ROWS // batch)


class Worker:
    """Holds one encoder per job and embeds shares of a set.

    What comes of a share depends on its rows alone, and the names of its shards on their contents. So a share that is
    done again, because its worker was killed, gives the same files, and tells of the same stretches.

    Args:
        jobs, stores: the encoders, and where the vectors of each go: a folder that all machines share.
        images: how many it may expect in all. workers: decoding processes.
        batch: images per forward pass, by default that of the device. before: as in `Work`.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        stores: Sequence[Store],
        images: int,
        workers: int,
        batch: int | None,
        before: Sequence[str],
    ) -> None:
        self._notes: list[str] = []
        # Batches don't grow here by what one worker measured: another one must give the same bits.
        self._embedders = [
            Embedder(job, store, batch_for(job, batch), images, self._notes.append, before=engine)
            for job, store, engine in zip(jobs, stores, before, strict=True)
        ]
        self._counted: dict[int, int | None] = {}
        self._decoders, self._batch = Decoders(workers), batch

    def __call__(self, block: Mapping[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        """Take a block of pickled shares, as Ray hands it over, and yield each `Done` as a block."""
        for share in block["share"]:
            for done in self.embed(pickle.loads(share)):
                yield {"done": [pickle.dumps(done)]}

    def end(self) -> None:
        """End its decoding processes."""
        self._decoders.end()

    def embed(self, share: Share) -> Iterator[Done]:
        """Decode and encode a share and commit its vectors, a stretch at a time."""
        try:
            self._try(share)
            with measured() as meter, kept_heap():
                seen: list[set[str]] = [set() for _ in share.which]
                for stretch in self._stretches(share):
                    yield self._taken(stretch, share, seen)
                rest = self._rest(share)
            rest.cost = meter.cost
            yield rest
        except EmbedkitError as error:
            yield Done(error=f"{error} (a worker on {socket.gethostname()}, process {os.getpid()})")

    def _try(self, share: Share) -> None:
        """Write down that a share is begun: what kills each worker that takes it must not go round for ever.

        Raises:
            EmbedkitError: it was begun too often.
        """
        folder = self._embedders[share.which[0]].store.shard_folder
        name = hashlib.sha256(repr(share.rows).encode()).hexdigest()[:24]
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f".{name}{TEMPORARY}").open("ab") as tries:
                tries.write(b"x")
                begun = tries.tell()
        if begun > _TRIES:
            raise EmbedkitError(
                f"{_TRIES} workers died one after the other over the same {len(share.rows)} images, of which "
                f"{share.addresses[0]} is the first. Most often memory runs out: give a smaller --batch, fewer "
                "encoders (--ray-workers, --device), or --workers 0. What was done is kept: run the same command again "
                "to go on"
            )

    def _ways(self, share: Share) -> list[Any]:
        return list(dict.fromkeys(self._embedders[which].job.way for which in share.which))

    def _stretches(self, share: Share) -> Iterator[list[Decoded]]:
        waiting: list[Decoded] = []
        size = self._batch or _DECODED_TOGETHER
        flow = decoded(share.rows, share.addresses, self._ways(share), workers=self._decoders, batch=size)
        try:
            for piece in flow:
                waiting.append(piece)
                if sum(len(one.rows) + len(one.failures) for one in waiting) >= stretch_rows(self._batch):
                    yield waiting
                    waiting = []
        finally:
            flow.close()
        if waiting:
            yield waiting

    def _taken(self, stretch: Sequence[Decoded], share: Share, seen: Sequence[set[str]]) -> Done:
        """Hand a stretch to the encoders, but what they have ``seen`` of the share, and tell what they have made."""
        done, ways = Done(), self._ways(share)
        for piece in stretch:
            done.rows += piece.rows
            done.digests += piece.digests
            done.failures += piece.failures
        for which, known in zip(share.which, seen, strict=True):
            embedder = self._embedders[which]
            way = ways.index(embedder.job.way)
            for piece in stretch:
                for digest, image in zip(piece.digests, piece.pixels[way], strict=True):
                    if digest not in known:
                        known.add(digest)
                        embedder.add(digest, image)
        return self._told(done, share)

    def _rest(self, share: Share) -> Done:
        for which in share.which:
            self._embedders[which].finish()
        return self._told(Done(), share)

    def _told(self, done: Done, share: Share) -> Done:
        done.made = [self._made(which) for which in share.which]
        done.notes, self._notes[:] = list(self._notes), []
        return done

    def _made(self, which: int) -> Made:
        embedder = self._embedders[which]
        engine = embedder.encoder.engine if embedder.encoder else ""
        counted = self._multiply_adds(which)
        made = Made(which, embedder.shards, embedder.lost, engine, embedder.seconds, counted)
        embedder.shards, embedder.lost, embedder.seconds = [], {}, 0.0
        return made

    def _multiply_adds(self, which: int) -> int | None:
        embedder = self._embedders[which]
        if embedder.encoder is None:
            return 0
        if which not in self._counted:
            self._counted[which] = embedder.job.multiply_adds(embedder.encoder)
        return self._counted[which]
