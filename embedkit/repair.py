"""`repair`: a damaged cache file is made anew, and only the vectors that are lost are embedded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from embedkit import datasets, encoders
from embedkit.cache import Store, store_of
from embedkit.errors import EmbedkitError
from embedkit.extraction import AnyJob, Progress, Report, every_way, extract, networks_of
from embedkit.loading import jobs_for


def repair(
    path: Path,
    *,
    models: Sequence[str] = (),
    data: Sequence[str] = (),
    root: Path | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Embed what is lost in a damaged cache file, from the images and the weights that it was made of.

    Its name says which they are where both are in the catalogs.

    Args:
        path: the damaged file. models, data: names to look among, for what is in no catalog, as in `extract`.
        root, weights, progress: as in `extract`.

    Raises:
        EmbedkitError: the images or the encoder can't be told, the weights are not those of then; as `extract`.
    """
    store = store_of(path)
    fitting = [name for name in (*data, store.dataset) if _names(name, store.dataset)]
    if not fitting:
        raise EmbedkitError(
            f"{path}: its name doesn't say where its images are: give them with --data, as they were given to extract"
        )
    job = _job(path, (*models, store.encoder), weights)
    return extract(datasets.open_dataset(fitting[0], root), job, store.cache, progress=progress, repair=True)


def _ways(store: Store) -> Iterator[tuple[str | None, str | None]]:
    yield from every_way()
    for name in networks_of(store.cache, store.encoder):
        yield from every_way(f"{encoders.INT8}:{name}")


def _names(data: str, folder: str) -> bool:
    try:
        return datasets.dataset_name(data) == folder
    except EmbedkitError:
        return False


def _job(path: Path, models: Sequence[str], weights: Path | None) -> AnyJob:
    store = store_of(path)
    fits = False
    for model in models:
        try:
            fits = encoders.resolve(model).slug == store.encoder
        except EmbedkitError:
            continue
        for job in jobs_for(model, _ways(store), weights=weights, cache=store.cache) if fits else ():
            if job.key == store.key:
                return job
    why = (
        "it was made with other weights or by another way of computing than today's: give the weights of then"
        if fits
        else "its name doesn't say which encoder made it: give it with --model, as it was given to extract"
    )
    raise EmbedkitError(f"{path}: {why}")
