"""The run: what is missing is decoded, encoded and committed shard by shard, then merged."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache import Cached, CacheError, Store
from embedkit.cost import Cost, measured
from embedkit.datasets import Addresses, ImageSet
from embedkit.errors import EmbedkitError, refuse_too_small
from embedkit.extraction.decode import decoded
from embedkit.extraction.devices import several_devices
from embedkit.extraction.digests import RAW, UNKNOWN, packed
from embedkit.extraction.elsewhere import Cluster, embed_elsewhere, together
from embedkit.extraction.heap import kept_heap
from embedkit.extraction.job import Job, measured_of
from embedkit.extraction.plan import canonical_table, check_columns, hash_rest, phases, remembered_digests, stamps_of
from embedkit.extraction.progress import Progress, Silent
from embedkit.extraction.report import Interrupted, Report
from embedkit.extraction.target import Target
from embedkit.machine import cores

if TYPE_CHECKING:
    import pandas as pd

_STRETCH = 32


def extract_all(
    dataset: ImageSet,
    jobs: Sequence[Job],
    cache: Path,
    *,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
    repair: bool = False,
    part: tuple[int, int] | None = None,
    merge_only: bool = False,
    cluster: Cluster | None = None,
) -> list[Report]:
    """Bring the cache files of a data set and several encoders up to date; only what has no vector is embedded.

    An image that several encoders need is read and decoded once.

    Args:
        dataset: the images. jobs: the encoders, from `prepare`. cache: the folder of all caches.
        workers: decoding processes, by default one per core; 0 decodes in this process.
        batch: images per forward pass. progress: told of every step.
        repair: whether a damaged cache file is made anew; its vectors whose checksums hold are kept.
        part: (3, 8) embeds the third of eight parts of the set into shards, which a later run merges.
        merge_only: whether an image that can be read and has no vector is an error instead of being embedded.
        cluster: whose workers decode and embed, instead of this process; by default the processes of the devices where
            the jobs name several. ``workers`` is of each worker of a `RayCluster`, and of all devices together.

    Returns:
        A report for each job, in their order.

    Raises:
        Interrupted: Ctrl-C; the shards are kept.
        EmbedkitError: a batch of none, or fewer workers than none; no image could be read, a damaged cache, a full or
            closed disk.
    """
    begun = time.perf_counter()
    refuse_too_small(SimpleNamespace(batch=batch, workers=workers), {"batch": 1, "workers": 0})
    progress = progress or Silent()
    whole = dataset
    if part is not None:
        dataset = _part_of(dataset, *part)
    check_columns(dataset)
    addresses = dataset.addresses()
    named = "{}-of-{}".format(*part) if part else ""
    stores = [job.store(cache, dataset.name, named) for job in jobs]
    reports: dict[Path, Report] = {}

    def report(job: Job, store: Store, embedded: int, failed: "pd.DataFrame", engine: str = "") -> None:
        reports[store.path] = Report(
            store.path,
            dataset.name,
            job.encoder,
            job.key,
            len(dataset),
            embedded,
            max(0, len(dataset) - len(failed) - embedded),
            time.perf_counter() - begun,
            engine,
            failed.to_dict("records"),
            measured_of(job, cache, dataset.name),
        )

    left: dict[Path, tuple[Job, Store]] = {}
    for job, store in zip(jobs, stores, strict=True):
        damage = store.damage() if repair else ""
        current = None if damage else store.read()
        if part is None and current is not None and _up_to_date(dataset, addresses, job.provenance(dataset), current):
            store.tidy()
            report(job, store, 0, current.failed)
        else:
            left[store.path] = (job, store)
    targets = []
    # An image that is read for one encoder is not read again for another one.
    read = np.zeros(len(dataset), RAW) if len(left) > 1 else None
    with ExitStack() as locks:
        # In one order, so that two processes never wait for each other.
        for _, (job, store) in sorted(left.items()):
            if store.busy():
                progress.note(f"another process is extracting {dataset.name} with {job.encoder}: waiting for it")
            locks.enter_context(store.lock())
            targets.append(Target(dataset, job, store, addresses, read, progress, repair))
        measuring = time.perf_counter()
        for target in targets:
            # Before the hours of a run, so that whoever sees that it does not pay can stop it.
            if target.job.appraisal is not None and len(target.pending) and not merge_only:
                target.job.appraisal.measure(whole, cache, workers, progress)
        begun += time.perf_counter() - measuring
        with measured() as meter:
            there = None if merge_only else cluster or several_devices(jobs)
            elsewhere = _Pass(addresses, workers, batch, progress, merge_only, there).embed(targets)
        seconds = sum(target.seconds for target in targets)
        for target in targets:
            if part is None:
                target.commit(together(meter.cost, elsewhere).part(target.seconds / seconds if seconds else 0.0))
            else:
                target.note()
            report(target.job, target.store, target.embedded, target.ledger(), target.engine)
    return [reports[store.path] for store in stores]


def _part_of(dataset: ImageSet, number: int, count: int) -> ImageSet:
    n = len(dataset)
    rows = np.arange((number - 1) * n // count, number * n // count)
    where = None if dataset.where is None else dataset.where.of(rows)
    part = replace(dataset, table=dataset.table.loc[rows].reset_index(drop=True), where=where)
    dataset.put_away()
    return part


def _workers(asked: int | None) -> int:
    return cores() if asked is None else asked


@dataclass(frozen=True)
class _Pass:
    """One pass over the images of a set, for all encoders that need them; parameters as in `extract_all`."""

    addresses: Addresses
    workers: int | None
    batch: int | None
    progress: Progress
    merge_only: bool
    cluster: Cluster | None

    def embed(self, targets: Sequence[Target]) -> list[Cost]:
        """Embed what has no vector; images that the same encoders need are decoded once for all of them.

        Returns:
            What workers of a cluster have spent.
        """
        busy = [target for target in targets if len(target.pending)]
        elsewhere: list[Cost] = []
        if not busy:
            return elsewhere
        for target in busy:
            target.begin(self.batch)
            # Nobody looks at the table before the vectors are there.
            target.dataset.put_away()
        shared = phases([target.pending for target in busy], len(self.addresses))
        what = f"{busy[0].dataset.name}  {', '.join(target.job.encoder for target in busy)}"
        self.progress.start(what, sum(map(len, shared.values())))
        try:
            if self.cluster is not None:
                how: dict[str, Any] = {"decoders": self.workers, "batch": self.batch, "progress": self.progress}
                elsewhere += embed_elsewhere(self.cluster, shared, self.addresses, busy, **how)
            else:
                with kept_heap():
                    for which, rows in shared.items():
                        self._embed_rows(rows, [busy[number] for number in which])
            for target in busy:
                target.finish()
        except KeyboardInterrupt as error:
            done = sum(target.keep() for target in busy)
            raise Interrupted(
                f"stopped. The {done} embeddings made until now are kept: run the same command again to go on"
            ) from error
        finally:
            self.progress.stop()
            # After an error what is encoded is kept too; where the error is a full disk, it can't be.
            with suppress(CacheError):
                for target in busy:
                    target.keep()
        return elsewhere

    def _embed_rows(self, rows: np.ndarray, targets: Sequence[Target]) -> None:
        ways = list(dict.fromkeys(target.job.way for target in targets))
        stretches = decoded(
            rows, self.addresses.of(rows), ways, workers=_workers(self.workers), batch=self.batch or _STRETCH
        )
        try:
            for stretch in stretches:
                if self.merge_only and stretch.rows:
                    raise EmbedkitError(
                        f"{self.addresses[stretch.rows[0]]} and perhaps others have no embedding by "
                        f"{targets[0].job.encoder} yet: run extract with the --shard that is missing, or without "
                        "--shard to embed the rest here"
                    )
                for target in targets:
                    target.take(stretch, stretch.pixels[ways.index(target.job.way)])
                self.progress.advance(len(stretch.rows) + len(stretch.failures))
        finally:
            stretches.close()


def _up_to_date(dataset: ImageSet, addresses: Addresses, provenance: dict[str, Any], current: Cached) -> bool:
    # Images that failed are tried again wherever the outcome can be written down.
    if len(current.failed) and os.access(current.path.parent, os.W_OK):
        return False
    table = canonical_table(dataset)
    rows = np.flatnonzero(~table["id"].isin(current.failed["id"]))
    kept, kept_addresses = table.loc[rows].reset_index(drop=True), addresses.of(rows)
    if not current.table.drop(columns="digest").equals(kept):
        return False
    if current.provenance["dataset"] != provenance["dataset"]:
        return False
    known = remembered_digests(kept["path"].to_numpy(), stamps_of(dataset, kept_addresses), current)
    digests = hash_rest(known, kept_addresses)
    return bool(((digests == packed(current.table["digest"])) & (digests != UNKNOWN)).all())
