"""Cache files made of other cache files: the vectors of an aligned pair, from those of its image encoder."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit._version import __version__
from embedkit.cache import read_header
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import run
from embedkit.extraction.job import AnyJob, Derived, Job, measured_of
from embedkit.extraction.report import Report

if TYPE_CHECKING:
    from embedkit.cache import Cached


def extract(dataset: ImageSet, job: AnyJob, cache: Path, **options: Any) -> Report:
    """Bring the cache file of a data set and an encoder up to date: `extract_all` of one encoder."""
    [report] = extract_all(dataset, [job], cache, **options)
    return report


def extract_all(
    dataset: ImageSet,
    jobs: Sequence[AnyJob],
    cache: Path,
    *,
    part: tuple[int, int] | None = None,
    repair: bool = False,
    **options: Any,
) -> list[Report]:
    """Bring the cache files of a data set and several encoders up to date, those that others are made of first.

    Args:
        dataset, jobs, cache, part, repair, options: as in `embedkit.extraction.run.extract_all`.

    Returns:
        A report for each job, in their order.

    Raises:
        EmbedkitError: as there; a part of what is made of another cache file.
    """
    if part is not None and (derived := [job.encoder for job in jobs if isinstance(job, Derived)]):
        raise EmbedkitError(
            f"{derived[0]} embeds no image itself, so there are no parts of it: give --shard with its image encoder, "
            "merge, then extract with the pair"
        )
    embedded = {(job.encoder, job.key): job for job in map(_root, jobs)}
    done = run.extract_all(dataset, list(embedded.values()), cache, part=part, repair=repair, **options)
    reports = dict(zip(embedded, done, strict=True))

    def report(job: AnyJob) -> Report:
        if isinstance(job, Job):
            return reports[job.encoder, job.key]
        report(job.base)
        return derive(job, cache, dataset.name, repair)

    return [report(job) for job in jobs]


def _root(job: AnyJob) -> Job:
    return job if isinstance(job, Job) else _root(job.base)


def derive(job: Derived, cache: Path, data: str, repair: bool = False) -> Report:
    """Bring the cache file of a pair up to date from that of its image encoder, without the images.

    Args:
        job: the pair. cache: the folder of all caches. data: the name of the set, whose other cache file is there.
        repair: whether a damaged file is made anew.

    Raises:
        CacheError: a damaged cache file, a full or closed disk.
    """
    begun = time.perf_counter()
    source, store = job.base.store(cache, data), job.store(cache, data)
    made = 0
    # The other file stays as it is while it is read; whoever writes it never waits for this one.
    with store.lock(), source.lock():
        base = read_header(source.path)
        damaged = repair and store.damage()
        if damaged:
            store.salvage()
        current = None if damaged else store.read()
        provenance = {**job.pair.provenance(base.provenance), "version": __version__}
        if current is None or not _says_the_same(current, base, provenance):
            kept = [*([current.rows()] if current else []), *store.shards()]
            known = {digest.decode() for rows in kept for digest in rows.digests().tolist()}
            fresh = store.adopt(source.path, set(base.table["digest"]) - known, job.pair.embed)
            made = sum(rows.count for rows in fresh)
            store.commit(base.table, base.failed, base.files, [*kept, *fresh], provenance)
    count, failed = len(base.table), base.failed.to_dict("records")
    seconds, total = time.perf_counter() - begun, count + len(failed)
    done = Report(store.path, data, job.encoder, job.key, total, made, max(0, count - made), seconds, ledger=failed)
    return replace(done, int8=measured_of(job, cache, data))


def _says_the_same(current: "Cached", base: "Cached", provenance: dict[str, Any]) -> bool:
    tables = current.table.equals(base.table) and current.failed.equals(base.failed)
    return tables and current.provenance["dataset"] == provenance["dataset"]
