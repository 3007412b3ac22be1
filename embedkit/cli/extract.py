"""``embedkit extract``: images to cached embeddings."""

import re
from collections.abc import Sequence
from typing import Any

from embedkit.cli import options
from embedkit.cli.bundles import Places, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.failures import end_with, print_failed


@bundled
def extract(
    *,
    model: options.Models,
    data: options.Data,
    pseudonymise: options.Pseudonymise = False,
    places: Places,
    batch: options.Batch = None,
    engine: options.Engine = None,
    decoder: options.Decoder = None,
    shard: options.Shard = None,
    cluster: options.Cluster = None,
    address: options.Address = None,
    ray_workers: options.RayWorkers = None,
    gpus_per_worker: options.GpusPerWorker = 0.0,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Embed images with frozen encoders into HDF5 caches; what is there already is not done again."""
    from embedkit import api, datasets, encoders, int8
    from embedkit.errors import EmbedkitError
    from embedkit.extraction import extract_all_named

    if pseudonymise:
        data = list(map(datasets.pseudonymous, data))
    api.check_names(model, data)
    part = _part(shard)
    ray = _cluster(cluster, shard, address, ray_workers, gpus_per_worker)
    if ray and len(encoders.devices_of(places.device)) > 1:
        raise EmbedkitError("several --device are of this machine: with --cluster give --gpus-per-worker instead")
    reports = []
    how: dict[str, Any] = {"weights": places.weights, "device": places.device, "engine": engine, "decoder": decoder}
    how["precision"] = int8.calibrated_on(places.precision, api.each(data))
    how |= {"cache": places.cache, "root": places.root, "workers": places.workers, "progress": Steps()}
    jobs = [api.job_for(name, **how) for name in api.each(model)]
    folder = api.cache_folder(places.cache)
    run: dict[str, Any] = {"root": places.root, "workers": places.workers, "batch": batch, "part": part, "cluster": ray}
    for name in api.each(data):
        done = extract_all_named(name, jobs, folder, progress=Steps(), **run)
        reports += done
        for report in done if not as_json else []:
            print_report(report, part=shard)
    end_of(reports, as_json, allow_failed)


def end_of(reports: Sequence[Any], as_json: bool, allow_failed: int) -> None:
    """Print the reports as JSON where that is asked for, and end with status 1 where too many images failed."""
    if as_json:
        print_json({"results": [_as_dict(report) for report in reports]})
    # One that failed for several encoders is one image.
    end_with(len({(report.data, row["id"]) for report in reports for row in report.ledger}), allow_failed)


def _part(shard: str | None) -> tuple[int, int] | None:
    from embedkit.errors import EmbedkitError

    if shard is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise EmbedkitError(f"--shard {shard} means nothing: give 1/8 to 8/8 for eight parts")
    return number, count


def _cluster(name: str | None, shard: str | None, address: str | None, workers: int | None, gpus: float) -> Any:
    from embedkit.errors import EmbedkitError
    from embedkit.extraction import RayCluster

    if name is None:
        if address or workers or gpus:
            raise EmbedkitError("--address, --ray-workers and --gpus-per-worker are of a cluster: add --cluster ray")
        return None
    if name != "ray":
        raise EmbedkitError(f"unknown cluster '{name}': it can be ray. For Slurm and others there is --shard")
    if shard:
        raise EmbedkitError("--shard and --cluster are two ways to share the work: give one of them")
    return RayCluster(address, workers, gpus)


def print_report(report: Any, idle: str = "nothing to do", part: str | None = None) -> None:
    """Print what a run did, and what failed; ``idle`` is said where it embedded nothing, ``part`` of what --shard."""
    what = f"{report.data} x {report.model}"
    if report.embedded:
        rate = report.embedded / report.seconds
        how = ", ".join(filter(None, (f"{rate:.1f} images/s", report.engine)))
        counts = f"{report.embedded} embedded ({how}), {report.reused} had their embedding"
    else:
        counts = f"{idle}, all {report.reused} had their embedding"
    # The file itself comes of the merge.
    merge = "when all are done, embedkit cache merge with this --model, --data, --precision and --decoder"
    where = f"part {part} of {report.path}: {merge}" if part else report.path
    say(f"{what}: {report.total} images, {counts}, {len(report.ledger)} failed -> {where}")
    if report.ledger:
        print_failed(report.ledger, f"embedkit cache info {report.data}/{report.model}")


def _as_dict(report: Any) -> dict[str, Any]:
    """Return a report in the types of JSON."""
    return {
        "data": report.data,
        "model": report.model,
        "key": report.key,
        "path": str(report.path),
        "n": report.total,
        "embedded": report.embedded,
        "reused": report.reused,
        "engine": report.engine,
        "int8": report.int8,
        "failed": report.ledger,
        "seconds": round(report.seconds, 3),
    }
