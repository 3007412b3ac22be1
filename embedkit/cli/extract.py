"""``embedkit extract``: images to cached embeddings."""

import re
from typing import TYPE_CHECKING, Any

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, say

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 20


def extract(
    model: options.Models,
    data: options.Data,
    pseudonymise: options.Pseudonymise = False,
    cache: options.Cache = None,
    root: options.Root = None,
    weights: options.Weights = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    batch: options.Batch = None,
    shard: options.Shard = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Embed images with frozen encoders into HDF5 caches; what is there already is not done again."""
    from embedkit import api, datasets
    from embedkit.extraction import extract_all_named

    if pseudonymise:
        data = list(map(datasets.pseudonymous, data))
    api.check_names(model, data)
    part = _part(shard)
    reports = []
    jobs = [api.job_for(name, weights=weights, precision=precision, device=device) for name in api.each(model)]
    for name in api.each(data):
        folder = api.cache_folder(cache)
        how: dict[str, Any] = {"workers": workers, "batch": batch, "part": part, "progress": Steps()}
        done = extract_all_named(name, jobs, folder, root=root, **how)
        reports += done
        for report in done if not as_json else []:
            print_report(report)
    if as_json:
        print_json({"results": [as_dict(report) for report in reports]})
    if sum(len(report.ledger) for report in reports) > allow_failed:
        raise typer.Exit(1)


def _part(shard: str | None) -> tuple[int, int] | None:
    from embedkit.errors import EmbedkitError

    if shard is None:
        return None
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise EmbedkitError(f"--shard {shard} means nothing: give 1/8 to 8/8 for eight parts")
    return number, count


def print_report(report: Any) -> None:
    """Print what a run did, and what failed."""
    what = f"{report.data} x {report.model}"
    if report.embedded:
        rate = report.embedded / report.seconds
        counts = f"{report.embedded} embedded ({rate:.1f} images/s), {report.reused} had their embedding"
    else:
        counts = f"nothing to do, all {report.reused} had their embedding"
    say(f"{what}: {report.total} images, {counts}, {len(report.ledger)} failed -> {report.path}")
    if report.ledger:
        print_failed(report.failed, f"{report.data}/{report.model}")


def print_failed(failed: "pd.DataFrame", cached: str) -> None:
    """Print the ledger of a cache file, named DATASET/ENCODER, on standard error."""
    for name, reason, message in failed[["path", "reason", "message"]].head(_LISTED).itertuples(index=False):
        say(f"  failed: {name!r}: {reason}: {message}", error=True)
    if len(failed) > _LISTED:
        say(f"  and {len(failed) - _LISTED} more: embedkit cache info {cached} lists all", error=True)


def as_dict(report: Any) -> dict[str, Any]:
    """Return a report in the types of JSON."""
    return {
        "data": report.data,
        "model": report.model,
        "key": report.key,
        "path": str(report.path),
        "n": report.total,
        "embedded": report.embedded,
        "reused": report.reused,
        "failed": report.ledger,
        "seconds": round(report.seconds, 3),
    }
