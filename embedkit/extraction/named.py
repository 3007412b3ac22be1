"""A run over a set that is named: where nothing changed since the last one, the set is not even opened."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedkit.cache import recall, remember
from embedkit.datasets import dataset_footprint, dataset_name, open_dataset
from embedkit.extraction.derived import extract_all
from embedkit.extraction.job import AnyJob, measured_of
from embedkit.extraction.report import Report


def extract_named(data: str, job: AnyJob, cache: Path, **options: Any) -> Report:
    """Open a data set and extract it with one encoder: `extract_all_named` of one."""
    [report] = extract_all_named(data, [job], cache, **options)
    return report


def extract_all_named(
    data: str,
    jobs: Sequence[AnyJob],
    cache: Path,
    *,
    root: Path | None = None,
    part: tuple[int, int] | None = None,
    **options: Any,
) -> list[Report]:
    """Open a data set and extract it with several encoders, but those whose receipt says that nothing is left to do.

    Args:
        data, root: as in `open_dataset`.
        jobs, cache, part, options: as in `extract_all`.

    Raises:
        EmbedkitError: as `open_dataset` and `extract_all`.
    """
    begun = time.perf_counter()
    name = dataset_name(data)
    paths = [job.store(cache, name).path for job in jobs]
    # Taken before anything is read: what changes from now on changes the footprint.
    footprint = None if part else dataset_footprint(data, root)
    reports: dict[Path, Report] = {}
    for job, path in zip(jobs, paths, strict=True):
        if footprint is not None and (images := recall(path, footprint)) is not None:
            seconds, int8 = time.perf_counter() - begun, measured_of(job, cache, name)
            reports[path] = Report(path, name, job.encoder, job.key, images, 0, images, seconds, int8=int8)
    left = [job for job, path in zip(jobs, paths, strict=True) if path not in reports]
    for report in extract_all(open_dataset(data, root), left, cache, part=part, **options) if left else []:
        reports[report.path] = report
        if footprint is not None and not report.ledger:
            remember(report.path, footprint, report.total)
    return [reports[path] for path in paths]
