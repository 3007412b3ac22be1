"""One cache file being brought up to date: what has a vector, what was embedded, what failed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache import Aside, CacheError, DamagedCache, ForeignCache, NotCached, Store, read_header
from embedkit.cache.shards import Rows
from embedkit.cost import Cost
from embedkit.datasets import Addresses, ImageSet
from embedkit.errors import EmbedkitError
from embedkit.extraction.decode import Decoded
from embedkit.extraction.digests import UNKNOWN, Digests, Firsts, Hexadecimal, among, gathered, packed, unpacked
from embedkit.extraction.embed import Embedder, batch_for
from embedkit.extraction.job import Job, measured_of
from embedkit.extraction.ledger import Embedded, with_cost, with_engine, with_int8
from embedkit.extraction.plan import STAMP, canonical_table, hash_rest, remembered_digests, stamps_of
from embedkit.extraction.privacy import warnings_of, without_names
from embedkit.extraction.progress import Progress
from embedkit.extraction.worker import Done, Made

if TYPE_CHECKING:
    import pandas as pd


def _digests_of(rows: Rows) -> Digests:
    return packed(digest.decode() for digest in rows.digests().tolist())


class Target:
    """One cache file under its lock: the digests, the sources of vectors and the failures, as they become known.

    Of each row it holds numbers alone, since the rows of a large set are what the memory of a run grows by.

    ``read`` has the digests of the rows whose files were hashed for another encoder in this run, and is added to; None
    where there is no other.
    """

    def __init__(
        self,
        dataset: ImageSet,
        job: Job,
        store: Store,
        addresses: Addresses,
        read: Digests | None,
        progress: Progress,
        repair: bool,
    ) -> None:
        self.dataset, self.job, self.store, self.progress = dataset, job, store, progress
        self.addresses = addresses
        damaged = repair and store.damage()
        if damaged:
            store.salvage()
        self.current = None if damaged else store.read()
        self.embedder: Embedder | None = None
        self._queued = 0
        self._multiply_adds: int | None = 0
        self._engines: set[str] = set()
        stamps = stamps_of(dataset, addresses)
        self.digests = remembered_digests(dataset.table["path"].to_numpy(), stamps, self.current, store.noted_rows())
        self._stamps: np.ndarray | Aside = stamps.to_numpy()
        self.failures: dict[int, tuple[str, str]] = {}
        self.sources = [self.current.rows()] if self.current else []
        shards = store.shards()
        held = [] if self.current is None else [packed(self.current.table["digest"])]
        self.known = gathered([*held, *map(_digests_of, shards)])
        self.sources += shards
        siblings = {} if among(self.digests, self.known).all() else self._siblings()
        if len(self.known) or siblings:
            if read is not None:
                self.digests = np.where(self.digests != UNKNOWN, self.digests, read)
            self.digests = hash_rest(self.digests, addresses)
            if read is not None:
                read[:] = self.digests
        for path, digests in siblings.items():
            self._adopt(path, digests)
        # Whether a row has a vector, be it on its way.
        self._done = among(self.digests, self.known)
        self._firsts = Firsts(self.digests)

    def _siblings(self) -> dict[Path, Digests]:
        found = {}
        for path in self.store.siblings():
            try:
                found[path] = packed(read_header(path).table["digest"])
            except CacheError as error:
                self.progress.note(f"left aside: {error}")
        return found

    def _adopt(self, path: Path, digests: Digests) -> None:
        wanted = digests[among(digests, gathered([self.digests])) & ~among(digests, self.known)]
        try:
            shards = self.store.adopt(path, set(unpacked(wanted))) if len(wanted) else []
        except (DamagedCache, ForeignCache, NotCached) as error:
            self.progress.note(f"left aside: {error}")
            return
        self.sources += shards
        self.known = gathered([self.known, *map(_digests_of, shards)])

    @property
    def pending(self) -> np.ndarray:
        """The rows that have no vector yet."""
        return np.flatnonzero(~self._done)

    @property
    def before(self) -> str:
        """What has computed the vectors that a killed run has left, empty where it isn't one engine."""
        engines = {shard.engine for shard in self.sources if shard.engine}
        return engines.pop() if len(engines) == 1 else ""

    def begin(self, asked: int | None) -> None:
        """Make ready to take images; ``asked`` is the size of a batch, by default that of the device.

        Raises:
            CacheError: the disk is full or closed.
        """
        size = batch_for(self.job, asked)
        self.embedder = Embedder(
            self.job,
            self.store,
            size,
            len(self.pending),
            self.progress.note,
            grows=asked is None,
            before=self.before,
        )
        if isinstance(self._stamps, np.ndarray):
            self._stamps = Aside(self._stamps, self.store.path.parent)

    def _new(self, rows: list[int], digests: list[str]) -> list[bool]:
        """Note the digests of rows that were read, and say of which there is no vector, nor one on its way."""
        raw = packed(digests)
        self.digests[rows], self._done[rows] = raw, True
        there = among(raw, self.known).tolist()
        new = [not known and self._firsts.is_first(row) for row, known in zip(rows, there, strict=True)]
        self._queued += sum(new)
        return new

    def take(self, stretch: Decoded, pixels: np.ndarray) -> None:
        """Embed a stretch of decoded images, pixels as this encoder wants them, and note those that failed."""
        assert self.embedder is not None
        new = self._new(stretch.rows, stretch.digests)
        for wanted, digest, image in zip(new, stretch.digests, pixels, strict=True):
            if wanted:
                self.embedder.add(digest, image)
        self.failures.update({f.row: (f.reason, f.message) for f in stretch.failures})

    def receive(self, done: Done, made: Made) -> None:
        """Take what a worker elsewhere made of a stretch.

        Raises:
            EmbedkitError: its shards can't be seen from here.
        """
        assert self.embedder is not None
        for shard in made.shards:
            if not shard.path.exists():
                raise EmbedkitError(
                    f"a worker wrote {shard.path}, which is not to be seen from here: --cache must be a folder that "
                    "all nodes share, under the same path"
                )
        self._new(done.rows, done.digests)
        self.failures.update({f.row: (f.reason, f.message) for f in done.failures})
        self.embedder.shards += made.shards
        self.embedder.lost |= made.lost
        self.embedder.seconds += made.seconds
        # A worker that has had nothing to embed yet has counted nothing.
        if made.engine:
            self._multiply_adds = made.multiply_adds
            self._engines.add(made.engine)

    def finish(self) -> None:
        """Embed what waits for a full batch, and learn what was embedded."""
        assert self.embedder is not None
        self.embedder.finish()
        self.sources += self.embedder.shards
        lost = self.embedder.lost
        for row in np.flatnonzero(among(self.digests, gathered([packed(lost)]))).tolist():
            self._done[row] = False
            [digest] = unpacked(self.digests[[row]])
            reason, wrong = lost[digest]
            self.failures[row] = reason, f"{self.addresses[row]}: {wrong}"

    def keep(self) -> int:
        """Stop, with what is encoded written as a shard; return how many vectors this run has written."""
        assert self.embedder is not None
        self.embedder.stop()
        return sum(shard.count for shard in self.embedder.shards)

    @property
    def embedded(self) -> int:
        """How many vectors were computed."""
        return self._queued - len(self.embedder.lost) if self.embedder else 0

    @property
    def engine(self) -> str:
        """What has computed vectors in this run, here or elsewhere, empty if nothing did."""
        encoder = self.embedder.encoder if self.embedder else None
        return encoder.engine if encoder else ", ".join(sorted(self._engines))

    @property
    def seconds(self) -> float:
        """How long the encoder took."""
        return self.embedder.seconds if self.embedder else 0.0

    def _spent(self, cost: Cost) -> Embedded:
        """Return what its images have cost, multiply-adds included where the encoder can be seen into."""
        encoder = self.embedder.encoder if self.embedder else None
        each = self._multiply_adds if encoder is None else self.job.multiply_adds(encoder)
        return Embedded(self.embedded, replace(cost, multiply_adds=None if each is None else each * self.embedded))

    def ledger(self) -> "pd.DataFrame":
        """Return the images that have no vector, with the reason."""
        import pandas as pd

        lost = self.pending.tolist()
        failed: pd.DataFrame = canonical_table(self.dataset).loc[lost, ["id", "path"]].reset_index(drop=True)
        failed["reason"] = pd.Series([self.failures[row][0] for row in lost], dtype=object)
        failed["message"] = pd.Series([self.failures[row][1] for row in lost], dtype=object)
        if self.dataset.pseudonyms is not None:
            failed["message"] = pd.Series(without_names(failed), dtype=object)
        return failed

    def _described(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Return the table and the stamps of the rows that have a vector."""
        import pandas as pd

        table = canonical_table(self.dataset)
        stamps = self._stamps.back() if isinstance(self._stamps, Aside) else self._stamps
        if not self._done.all():
            table, stamps = table.loc[self._done].reset_index(drop=True), stamps[self._done]
        return table, pd.DataFrame(stamps, columns=STAMP)

    def note(self) -> None:
        """Write down what a part knows of its files, so that whoever merges need not read them."""
        table, files = self._described()
        self.store.note_rows(files.assign(path=table["path"], digest=unpacked(self.digests[self._done])))

    def commit(self, cost: Cost) -> None:
        """Write the final file, unless the one there says the same already."""
        if self.dataset.pseudonyms is not None:
            for row in self.pending:
                self.progress.note(f"failed: {self.failures[row][1]}")
        failed = self.ledger()
        table, files = self._described()
        if not len(table):
            first = failed["message"].iloc[0] if len(failed) else "the set is empty"
            raise EmbedkitError(
                f"none of the {len(self.dataset)} images of {self.dataset.name} could be read. The first: {first}"
            )
        before = self.current.provenance if self.current else None
        computed = ", ".join({self.engine, *(rows.engine for rows in self.sources)})
        provenance = with_engine(self.job.provenance(self.dataset), before, computed)
        provenance = with_cost(provenance, before, self._spent(cost))
        provenance = with_int8(provenance, before, measured_of(self.job, self.store.cache, self.dataset.name))
        digests = Hexadecimal(self.digests[self._done])
        if self._says_the_same(table, digests, failed, provenance):
            self.store.drop_shards()
            return
        for warning in warnings_of(self.dataset):
            self.progress.note(warning)
        if digests.mostly_distinct():
            self.store.commit(table, failed, files, self.sources, provenance, digests)
        else:
            self.store.commit(table.assign(digest=digests[:]), failed, files, self.sources, provenance)

    def _says_the_same(
        self, table: "pd.DataFrame", digests: Hexadecimal, failed: "pd.DataFrame", provenance: dict[str, Any]
    ) -> bool:
        return (
            self.current is not None
            and self.current.table.equals(table.assign(digest=digests[:]))
            and self.current.failed.equals(failed)
            and self.current.provenance["dataset"] == provenance["dataset"]
        )
