"""`load`: cached embeddings by name, in one line of a downstream script."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedkit import cache as caches
from embedkit import datasets, encoders
from embedkit.api import cache_folder, job_for
from embedkit.cache import EmbeddingSet
from embedkit.encoders import INT8
from embedkit.errors import EmbedkitError
from embedkit.extraction import AnyJob, every_way
from embedkit.int8 import calibrated_on, check_precision


def load(
    model: str,
    data: str,
    *,
    cache: Path | str | None = None,
    weights: Path | str | None = None,
    precision: str | None = None,
    key: str | None = None,
    rows: caches.Selection | None = None,
    verify: bool = False,
) -> EmbeddingSet:
    """Read cached embeddings by name; imports no torch and needs neither images nor weights.

    Where the weights are at hand, only vectors made from those weights, with today's preprocessing, are returned:
    a stale cache is an error, not an answer.

    Args:
        model, data: as in `extract`, or as ``embedkit cache ls`` lists them. Of ``aligned:FILE`` it is what the cached
            embeddings of its image encoder are in the space of its texts, whose key the file knows.
        cache: the folder of all caches. weights: as in `extract`.
        precision: ``bf16`` or ``fp32``; by default this machine's choice, else the other one. ``int8`` is what the set
            itself has calibrated, ``int8:SET`` what another one has.
        key: names one file where several fit.
        rows: a slice, positions or a mask of the rows to read, by default all; the others are not read.
        verify: whether every byte of the file is compared with its checksum, as a probe does; by default of the vectors
            only those of ``rows`` are.

    Raises:
        NotCached: nothing of that name, or only vectors of another configuration.
        DamagedCache: bytes that were compared differ.
        EmbedkitError: several files fit, or there is no such precision.
    """
    check_precision(precision)
    folder = cache_folder(cache)
    if model.startswith(f"{encoders.ALIGNED}:"):
        return _aligned(model, data, folder, key, rows, verify)
    name = data if caches.find(folder, data) else datasets.dataset_name(data)
    try:
        slug = encoders.resolve(model).slug
    except EmbedkitError:
        if not (listed := caches.find(folder, name, model, key)):
            raise
        return caches.read_named(listed[0] if key else _only(listed, precision), rows, verified=verify)
    files = caches.find(folder, name, slug, key)
    command = f"embedkit extract --model {model} --data {data}"
    if not files:
        raise caches.NotCached(f"no embeddings of {name} by {slug} are cached in {folder}: {command}")
    path = files[0] if key else _current(files, model, weights, calibrated_on(precision, [data]), command, folder)
    return caches.read_named(path, rows, verified=verify)


def _aligned(
    model: str, data: str, folder: Path, asked: str | None, rows: caches.Selection | None, verify: bool
) -> EmbeddingSet:
    pair = encoders.AlignedPair.load(Path(model.partition(":")[2]).expanduser())
    images, key = pair.facts["image_encoder"], pair.facts["image_key"]
    name = datasets.dataset_name(data)
    if (found := caches.find(folder, name, images, key)) and asked in (None, key):
        return pair.apply(caches.read_named(found[0], rows, verified=verify))
    for path in caches.find(folder, name, pair.name, asked):
        made = caches.read_header(path).provenance["configuration"]
        if pair.configuration({**made, "encoder": made["encoder"]["images"]}) == made:
            return caches.read_named(path, rows, verified=verify)
    raise caches.NotCached(
        f"no embeddings of {name} by {images} with the key {key}, which {model} was aligned with, are cached in "
        f"{folder}: embedkit extract --model {model} --data {data}"
    )


def jobs_for(model: str, ways: Iterable[tuple[str | None, str | None]], **how: Any) -> Iterator[AnyJob]:
    """Yield the job of a model for each precision and decoder, but for networks in int8 that are not there.

    Args:
        ways: from `embedkit.extraction.every_way`. how: as in `embedkit.api.job_for`.
    """
    for precision, decoder in ways:
        with suppress(caches.NotCached):
            yield job_for(model, precision=precision, decoder=decoder, calibrate=False, **how)


def _current(
    files: list[Path], model: str, weights: Path | str | None, precision: str | None, command: str, folder: Path
) -> Path:
    by_key = {path.stem.rpartition(".")[2]: path for path in files}
    today: dict[str, Any] = {}
    try:
        for job in jobs_for(model, every_way(precision), weights=weights, fetch=False, cache=folder):
            if job.key in by_key:
                return by_key[job.key]
            today = today or job.configuration
    except encoders.WeightsNotFound:
        return _only(files, precision)
    differ = _difference(caches.read_header(files[0]).provenance["configuration"], today)
    raise caches.NotCached(
        f"{files[0].name} was made otherwise than today ({differ}): {command}, or give key= to read it all the same"
    )


def _only(files: list[Path], precision: str | None) -> Path:
    wanted = (precision or "").partition(":")[0]
    fit = [path for path in files if _precision_of(path) == wanted or (not wanted and _precision_of(path) != INT8)]
    if len(fit) != 1:
        names = ", ".join(path.name for path in fit or files)
        raise EmbedkitError(
            f"which embeddings are meant is not clear ({names}), and the weights are not here to tell: give key=, "
            "the part of the name before .h5ad"
        )
    return fit[0]


def _precision_of(path: Path) -> str | None:
    configuration = caches.read_header(path).provenance["configuration"]
    precision: str | None = configuration["encoder"].get("precision")
    return precision


def _difference(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> str:
    parts = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            parts.append(_difference(old, new, f"{prefix}{name}."))
        elif old != new:
            parts.append(f"{prefix}{name}: then {old}, now {new}")
    return "; ".join(part for part in parts if part)
