"""The public verbs: each composes the rooms below and returns one of the three values."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import cache as caches
from embedkit import datasets, encoders, int8
from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import AnyJob, Derived, Progress, derive, embedding_cost, extract_all_named, prepare
from embedkit.extraction import extract as run_extraction

if TYPE_CHECKING:
    from embedkit.probing import Kept, ProbeResult


def cache_folder(given: Path | str | None = None) -> Path:
    """Return the folder of all caches: as given, else ``EMBEDKIT_CACHE``, else ``./cache``."""
    return Path(given or os.environ.get("EMBEDKIT_CACHE") or "cache")


def extract(
    model: str,
    data: str,
    *,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    engine: str | None = None,
    decoder: str | None = None,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Embed a data set with a frozen encoder, or read what was embedded before.

    Args:
        model: a catalog name, ``timm:NAME``, ``open_clip:MODEL/PRETRAINED``, ``onnx:PATH`` or ``aligned:FILE`` (a pair
            that `embedkit.align` saved).
        data: a catalog name, ``folder:PATH``, ``csv:PATH`` or another address of `embedkit.open_dataset`.
        cache: the folder of all caches. root: the folder of all data sets. weights: a checkpoint, or a folder
            of them.
        precision: ``bf16`` or ``fp32``; by default bf16 where the machine computes in it. ``int8`` (with OpenVINO and
            NNCF) is calibrated on images of the set, ``int8:SET`` on those of another one.
        device: ``cpu`` or ``cuda``; several GPUs as ``cuda:0,cuda:1``, all of them as ``cuda:all``.
        engine: what computes the encoder: ``torch``, ``compile``, ``openvino`` or ``onnx``; by default the fastest
            of them on this machine.
        decoder: ``full``; ``scaled``: large JPEGs are decoded at a fraction of their size; or ``device``: JPEGs are
            decoded and resized where the encoder is computed. Each has a key of its own.
        workers: decoding processes. batch: images per forward pass.
        progress: told of every step.

    Returns:
        The embeddings, X of shape (n, d) float32. Images that could not be read are in its ``failed``.

    Raises:
        EmbedkitError: unknown names, missing files or weights, no readable image, a full disk.
    """
    how: dict[str, Any] = {"device": device, "engine": engine, "decoder": decoder}
    places: dict[str, Any] = {"cache": cache, "root": root, "workers": workers, "progress": progress}
    job = job_for(model, weights=weights, precision=int8.calibrated_on(precision, [data]), **how, **places)
    dataset = datasets.open_dataset(data, _path(root))
    report = run_extraction(dataset, job, cache_folder(cache), workers=workers, batch=batch, progress=progress)
    return caches.read(report.path)


def job_for(
    model: str,
    *,
    weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    engine: str | None = None,
    decoder: str | None = None,
    fetch: bool = True,
    cache: Path | str | None = None,
    **making: Any,
) -> AnyJob:
    """Return the job of a model; ``weights`` may be a checkpoint or a folder of them.

    A network in int8 lies in ``cache``; of ``making`` one that does not yet, `embedkit.int8.understood` knows.
    """
    precision, calibration = int8.understood(precision, cache_folder(cache), **making)
    device = ",".join(encoders.devices_of(device)) or None
    given = _path(weights)
    folder = given if given is not None and given.is_dir() else None
    file = None if folder else given
    how: dict[str, Any] = {"device": device, "engine": engine, "decoder": decoder, "calibration": calibration}
    return prepare(model, weights=file, weights_folder=folder, precision=precision, fetch=fetch, **how)


def bring_up_to_date(
    job: AnyJob,
    data: str,
    *,
    cache: Path,
    root: Path | None = None,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Extract what is missing and return the embeddings; where the images are gone, what is cached is taken."""
    try:
        dataset = datasets.open_dataset(data, root)
    except datasets.DatasetNotFound:
        name = datasets.dataset_name(data)
        if isinstance(job, Derived) and job.base.store(cache, name).path.exists():
            derive(job, cache, name)
        stored = job.store(cache, name).path
        if not stored.exists():
            raise
        if progress:
            progress.note(f"the images of {name} are not here: its cached embeddings are taken as they are")
        return caches.read_named(stored, verified=True)
    report = run_extraction(dataset, job, cache, workers=workers, batch=batch, progress=progress)
    return caches.read(report.path, verified=True)


def bring_all_up_to_date(
    jobs: Sequence[AnyJob],
    data: Sequence[str],
    *,
    cache: Path,
    root: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Extract what several encoders lack of several sets, each image decoded once; sets that are not here are left."""
    for name in data:
        with suppress(datasets.DatasetNotFound):
            extract_all_named(name, jobs, cache, root=root, workers=workers, progress=progress)


def embeddings(
    data: EmbeddingSet | str,
    model: str | None,
    *,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    precision: str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Return embeddings in hand as they are, and those of a named set by a named encoder, extracted where missing.

    Raises:
        EmbedkitError: a set is named and no encoder; as in `extract`.
    """
    if isinstance(data, EmbeddingSet):
        return data
    if model is None:
        raise EmbedkitError(f"which encoder's embeddings of {data}? Give model=")
    places: dict[str, Any] = {"cache": cache_folder(cache), "root": _path(root), "workers": workers}
    places["progress"] = progress
    job = job_for(model, weights=weights, precision=precision, device=device, **places)
    return bring_up_to_date(job, data, **places)


def probe(
    data: EmbeddingSet | str,
    *,
    model: str | None = None,
    test: EmbeddingSet | str | None = None,
    classifier: str = "logistic",
    target: str | None = None,
    group: str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    weights: Path | str | None = None,
    precision: str | None = None,
    progress: Progress | None = None,
    kept: "Kept | None" = None,
    **choices: Any,
) -> "ProbeResult":
    """Fit a classifier on cached embeddings and judge it on images of patients it has not seen.

    Args:
        data: an `EmbeddingSet` (from `load`, `extract` or `EmbeddingSet.from_arrays`) or the name of a data set.
        model: as in `extract`; needed where a data set is named. Missing embeddings are extracted.
        test: another set with the same classes to judge on.
        classifier: ``logistic``, ``svm-linear``, ``svm-rbf``, ``knn``, ``lda`` or ``centroid``.
        target: what to predict, by default the set's first target. group: the column of patients or lesions.
        cache, root, weights, precision, progress: as in `extract`.
        kept: as in `embedkit.probing.probe`.
        choices: the other fields of `embedkit.probing.Settings`: seed, folds, level, by, sites, fractions and more.

    Raises:
        EmbedkitError: as in `extract` and `embedkit.probing.probe`.
    """
    from embedkit.probing import Settings
    from embedkit.probing import probe as run_probe

    # Choices that make no sense are told before the minutes of embedding.
    chosen = Settings.of(classifier=classifier, target=target, group=group, **choices).to_dict()

    def read(one: EmbeddingSet | str) -> EmbeddingSet:
        return embeddings(one, model, cache=cache, root=root, weights=weights, precision=precision, progress=progress)

    train = read(data)
    unseen = None if test is None else read(test)
    result = run_probe(train, unseen, progress=progress, kept=kept, **chosen)
    return in_context(result, train, unseen)


def in_context(result: "ProbeResult", train: EmbeddingSet, test: EmbeddingSet | None) -> "ProbeResult":
    """Return the result with the published figures of the set it was judged on, and what else it must be read with.

    A result that has all this, because it was saved and read, stays as it is.
    """
    from embedkit.baselines import beside, in_common

    costs = [embedding_cost(one.provenance) for one in (train, test) if one is not None]
    known = [one for one in costs if one is not None]
    embedding = sum(known[1:], known[0]).to_dict() if known and len(known) == len(costs) else None
    shared = in_common(train, test) if test is not None else []
    notes = list(dict.fromkeys([*shared, *_met(test or train), *result.notes]))
    cost = {**result.cost, "embedding": embedding}
    return replace(result, baselines=beside(result, test or train), cost=cost, notes=notes)


def _met(judged: EmbeddingSet) -> list[str]:
    """Return what must be said where an aligned pair has learnt from labels of the set that is judged."""
    if judged.facts.get("aligned_with") != judged.name:
        return []
    return [
        f"the pair {judged.encoder} has learnt from labels of {judged.name} ({judged.facts['aligned_on']}): the judged "
        "images are unseen only where none of those is among them"
    ]


def train_baseline(
    arch: str,
    data: str,
    *,
    test: str | None = None,
    cache: Path | str | None = None,
    root: Path | str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    recipe: Mapping[str, Any] | None = None,
    **choices: Any,
) -> "ProbeResult":
    """Train a network end to end on the images of a probe and judge it as the probe is judged.

    Args:
        arch: a network of timm, or an encoder that timm builds. data, test, cache, root, workers, progress: as in
            `extract` and `probe`.
        recipe: the other fields of `embedkit.baselines.Recipe`: weights, epochs, patience, size, batch, lr and more.
        choices: fields of `embedkit.probing.Settings`, as in `probe`.

    Raises:
        EmbedkitError: as in `embedkit.baselines.train`.
    """
    from embedkit.baselines import Recipe, train
    from embedkit.probing import Settings

    how, settings = Recipe(arch=arch, **(recipe or {})), Settings.of(**choices)
    return train(
        datasets.open_dataset(data, _path(root)),
        None if test is None else datasets.open_dataset(test, _path(root)),
        how,
        settings,
        workspace=cache_folder(cache),
        workers=workers,
        progress=progress,
    )


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def check_names(models: Sequence[str], data: Sequence[str], classifiers: Sequence[str] = ()) -> None:
    """Refuse a name that means nothing before anything that takes minutes is begun.

    Raises:
        EmbedkitError: an unknown model, data set or classifier, with the closest names.
    """
    for name in data:
        datasets.dataset_name(name)
    for model in models:
        encoders.resolve(model)
    if classifiers:
        from embedkit.probing import check_classifier

        for classifier in classifiers:
            check_classifier(classifier)


def each(values: Sequence[str] | str) -> list[str]:
    """Return one or several names as a list without repeats."""
    return list(dict.fromkeys([values] if isinstance(values, str) else values))
