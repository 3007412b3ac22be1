"""The run: what is missing is decoded, encoded and committed shard by shard, then merged."""

import os
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache import Cached, CacheError, DamagedCache, ForeignCache, NotCached, Store, read_header
from embedkit.cost import Cost, measured
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from embedkit.extraction.decode import Decoded, decoded
from embedkit.extraction.embed import Embedder
from embedkit.extraction.job import Job
from embedkit.extraction.ledger import Embedded, with_cost
from embedkit.extraction.plan import canonical_table, file_stamps, hash_rest, remembered_digests
from embedkit.extraction.progress import Progress, Silent

if TYPE_CHECKING:
    import pandas as pd

_BATCH = {"cpu": 32, "cuda": 256}


class Interrupted(EmbedkitError):
    """The user stopped the run; what was done is kept."""


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        path: the cache file. total: images of the set. embedded: vectors computed now.
        reused: images whose vector existed. seconds: wall time.
        ledger: a row for each image that failed: ``id``, ``path``, ``reason``, ``message``.
    """

    path: Path
    data: str
    model: str
    key: str
    total: int
    embedded: int
    reused: int
    seconds: float
    ledger: list[dict[Hashable, Any]] = field(default_factory=list)

    @property
    def failed(self) -> "pd.DataFrame":
        """The ledger as a table."""
        import pandas as pd

        return pd.DataFrame(self.ledger, columns=["id", "path", "reason", "message"], dtype=object)


def extract(
    dataset: ImageSet,
    job: Job,
    cache: Path,
    *,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
    repair: bool = False,
) -> Report:
    """Bring the cache file of a data set and an encoder up to date; only what has no vector is embedded.

    Args:
        dataset: the images. job: the encoder, from `prepare`. cache: the folder of all caches.
        workers: decoding processes, by default one per core; 0 decodes in this process.
        batch: images per forward pass. progress: told of every step.
        repair: whether a damaged cache file is made anew; its vectors whose checksums hold are kept.

    Raises:
        Interrupted: Ctrl-C; the shards are kept.
        EmbedkitError: no image could be read, a damaged cache, a full or closed disk.
    """
    begun = time.perf_counter()
    progress = progress or Silent()
    store = job.store(cache, dataset.name)
    table = canonical_table(dataset)
    addresses = dataset.addresses()

    def report(embedded: int, failed: "pd.DataFrame") -> Report:
        reused = len(table) - len(failed) - embedded
        seconds = time.perf_counter() - begun
        return Report(
            store.path,
            dataset.name,
            job.encoder,
            job.key,
            len(table),
            embedded,
            max(0, reused),
            seconds,
            failed.to_dict("records"),
        )

    damage = store.damage() if repair else ""
    current = None if damage else store.read()
    provenance = job.provenance(dataset)
    if current is not None and _up_to_date(table, addresses, provenance, current):
        return report(0, current.failed)
    if store.busy():
        progress.note(f"another process is extracting {dataset.name} with {job.encoder}: waiting for it")
    with store.lock():
        run = _Run(dataset, job, store, table, addresses, progress, repair)
        with measured() as meter:
            embedded = run.embed(_workers(workers), batch)
        return report(embedded, run.commit(run.spent(embedded, meter.cost)))


def _workers(asked: int | None) -> int:
    return len(os.sched_getaffinity(0)) if asked is None else asked


def _up_to_date(table: "pd.DataFrame", addresses: list[str], provenance: dict[str, Any], current: Cached) -> bool:
    # Images that failed are tried again wherever the outcome can be written down.
    if len(current.failed) and os.access(current.path.parent, os.W_OK):
        return False
    rows = np.flatnonzero(~table["id"].isin(current.failed["id"]))
    kept, kept_addresses = table.loc[rows].reset_index(drop=True), [addresses[row] for row in rows]
    if not current.table.drop(columns="digest").equals(kept):
        return False
    if current.provenance["dataset"] != provenance["dataset"]:
        return False
    digests = remembered_digests(kept, file_stamps(kept_addresses), current)
    return hash_rest(digests, kept_addresses) == list(current.table["digest"])


class _Run:
    """One run under the lock: the digests, the sources of vectors and the failures, as they become known."""

    def __init__(
        self,
        dataset: ImageSet,
        job: Job,
        store: Store,
        table: "pd.DataFrame",
        addresses: list[str],
        progress: Progress,
        repair: bool,
    ) -> None:
        self.dataset, self.job, self.store, self.progress = dataset, job, store, progress
        self.table, self.addresses = table, addresses
        damaged = repair and store.damage()
        if damaged:
            store.salvage()
        self.current = None if damaged else store.read()
        self.embedder: Embedder | None = None
        self.stamps = file_stamps(addresses)
        self.digests = remembered_digests(table, self.stamps, self.current)
        self.failures: dict[int, tuple[str, str]] = {}
        self.sources = [self.current.rows()] if self.current else []
        self.sources += store.shards()
        self.known = {digest for source in self.sources for digest in source.digests}
        siblings = self._siblings() if any(digest not in self.known for digest in self.digests) else {}
        if self.known or siblings:
            self.digests = hash_rest(self.digests, addresses)
        for path, digests in siblings.items():
            self._adopt(path, digests & set(filter(None, self.digests)) - self.known)

    def _siblings(self) -> dict[Path, set[str]]:
        found = {}
        for path in self.store.siblings():
            try:
                found[path] = set(read_header(path).rows().digests)
            except CacheError as error:
                self.progress.note(f"left aside: {error}")
        return found

    def _adopt(self, path: Path, wanted: set[str]) -> None:
        try:
            shards = self.store.adopt(path, wanted) if wanted else []
        except (DamagedCache, ForeignCache, NotCached) as error:
            self.progress.note(f"left aside: {error}")
            return
        self.sources += shards
        self.known.update(digest for shard in shards for digest in shard.digests)

    def embed(self, workers: int, asked: int | None) -> int:
        """Embed what has no vector; return how many vectors were computed."""
        pending = [row for row, digest in enumerate(self.digests) if digest not in self.known]
        if not pending:
            return 0
        batch = asked or _BATCH.get(self.job.device(), _BATCH["cpu"])
        embedder = self.embedder = Embedder(self.job, self.store, batch)
        self.progress.start(f"{self.dataset.name}  {self.job.encoder}", len(pending))
        stretches = decoded(
            pending,
            [self.addresses[row] for row in pending],
            self.job.preprocessing,
            workers=workers,
            batch=batch,
        )
        queued: set[str] = set()
        try:
            for stretch in stretches:
                self._take(stretch, queued, embedder.add)
                self.progress.advance(len(stretch.rows) + len(stretch.failures))
            embedder.finish()
        except KeyboardInterrupt as error:
            embedder.commit()
            done = sum(len(shard.digests) for shard in embedder.shards)
            raise Interrupted(
                f"stopped. The {done} embeddings made until now are kept: run the same command again to go on"
            ) from error
        finally:
            stretches.close()
            self.progress.stop()
            # After an error what is encoded is kept too; where the error is a full disk, it can't be.
            with suppress(CacheError):
                embedder.commit()
        self.sources += embedder.shards
        self.known.update(queued - embedder.not_finite)
        for row, digest in enumerate(self.digests):
            if digest in embedder.not_finite:
                self.failures[row] = (
                    "not finite",
                    f"{self.addresses[row]}: its embedding has NaN or infinite values; try --precision fp32",
                )
        return len(queued) - len(embedder.not_finite)

    def _take(self, stretch: Decoded, queued: set[str], add: Callable[[str, np.ndarray], None]) -> None:
        for row, digest, pixels in zip(stretch.rows, stretch.digests, stretch.pixels, strict=True):
            self.digests[row] = digest
            if digest not in self.known and digest not in queued:
                queued.add(digest)
                add(digest, pixels)
        self.failures.update({f.row: (f.reason, f.message) for f in stretch.failures})

    def spent(self, images: int, cost: Cost) -> Embedded:
        """Return what embedding so many images has cost, multiply-adds included where the encoder can be seen into."""
        encoder = self.embedder.encoder if self.embedder else None
        each = 0 if encoder is None else self.job.multiply_adds(encoder)
        return Embedded(images, replace(cost, multiply_adds=None if each is None else each * images))

    def commit(self, spent: Embedded) -> "pd.DataFrame":
        """Write the final file, unless the one there says the same already; return the ledger."""
        import pandas as pd

        ok = np.array([digest in self.known and row not in self.failures for row, digest in enumerate(self.digests)])
        lost = np.flatnonzero(~ok).tolist()
        failed = self.table.loc[lost, ["id", "path"]].reset_index(drop=True)
        failed["reason"] = pd.Series([self.failures[row][0] for row in lost], dtype=object)
        failed["message"] = pd.Series([self.failures[row][1] for row in lost], dtype=object)
        if not ok.any():
            first = failed["message"].iloc[0] if len(failed) else "the set is empty"
            raise EmbedkitError(
                f"none of the {len(ok)} images of {self.dataset.name} could be read. The first: {first}"
            )
        table = self.table.loc[ok].reset_index(drop=True)
        table["digest"] = [digest for digest, good in zip(self.digests, ok, strict=True) if good]
        files = self.stamps.loc[ok].reset_index(drop=True)
        before = self.current.provenance if self.current else None
        provenance = with_cost(self.job.provenance(self.dataset), before, spent)
        if not self._says_the_same(table, failed, provenance):
            self.store.commit(table, failed, files, self.sources, provenance)
        return failed

    def _says_the_same(self, table: "pd.DataFrame", failed: "pd.DataFrame", provenance: dict[str, Any]) -> bool:
        return (
            self.current is not None
            and self.current.table.equals(table)
            and self.current.failed.equals(failed)
            and self.current.provenance["dataset"] == provenance["dataset"]
        )
