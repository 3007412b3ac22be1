"""A run over a set that is named: where nothing changed since the last one, the set is not even opened."""

import time
from pathlib import Path

from embedkit.cache import recall, remember
from embedkit.datasets import dataset_footprint, dataset_name, open_dataset
from embedkit.extraction.job import Job
from embedkit.extraction.progress import Progress
from embedkit.extraction.run import Report, extract


def extract_named(
    data: str,
    job: Job,
    cache: Path,
    *,
    root: Path | None = None,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Open a data set and extract it, unless its receipt says that nothing is left to do.

    Args:
        data, root: as in `open_dataset`.
        job, cache, workers, batch, progress: as in `extract`.

    Raises:
        EmbedkitError: as `open_dataset` and `extract`.
    """
    begun = time.perf_counter()
    name = dataset_name(data)
    path = job.store(cache, name).path
    # Taken before anything is read: what changes from now on changes the footprint.
    footprint = dataset_footprint(data, root)
    if footprint is not None and (images := recall(path, footprint)) is not None:
        return Report(path, name, job.encoder, job.key, images, 0, images, time.perf_counter() - begun)
    dataset = open_dataset(data, root)
    report = extract(dataset, job, cache, workers=workers, batch=batch, progress=progress)
    if footprint is not None and not report.ledger:
        remember(path, footprint, report.total)
    return report
