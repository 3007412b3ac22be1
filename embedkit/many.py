"""Several encoders, sets and classifiers in one call: what is done is read, and each is compared to the best."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedkit import api, datasets, saved
from embedkit.baselines import exchange
from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import AnyJob, Progress
from embedkit.probing import Kept, ProbeResult, Settings, compare_to_best, fingerprint, make_plan, question, questions

Read = Callable[[str, str], EmbeddingSet]


@dataclass(frozen=True)
class Cell:
    """One probe of several, not yet made: what is learnt from, what is judged, and the choices."""

    train: EmbeddingSet
    test: EmbeddingSet | None
    settings: Settings

    def place(self, folder: Path) -> Path:
        """Return the file of its result: the same choices on the same names give the same file."""
        train, settings = self.train, self.settings
        target = settings.target or next(iter(train.targets), "")
        choices = settings.digest() if settings.unusual() else ""
        names = (train.encoder, train.key, settings.classifier, target, choices)
        place = saved.folder_of(folder, train.name, (self.test or train).name)
        return place / saved.file_name(*names)

    def done(self, folder: Path) -> ProbeResult | None:
        """Return the saved result of the same vectors, labels, choices and version, or None."""
        path = self.place(folder)
        if not path.exists():
            return None
        try:
            result = ProbeResult.load(path)
        except EmbedkitError:
            # What can't be read is made anew, over it.
            return None
        known = result.protocol.get("fingerprint")
        return result if known == fingerprint(self.train, self.test, self.settings) else None


def refuse_early(
    data: Sequence[str],
    test: str | None,
    choices: Sequence[Settings],
    jobs: Sequence[AnyJob],
    cache: Path,
    root: Path | None,
) -> None:
    """Refuse what the tables of sets don't permit before hours go into embedding them.

    Args:
        data, test, choices: as in `cells`. jobs: of the encoders. cache, root: the folders of caches and of sets; sets
            that are cached, or not here, are left.

    Raises:
        EmbedkitError: as in `embedkit.probing.make_plan`.
    """
    plans = list(dict.fromkeys(replace(one, classifier=Settings.classifier) for one in choices))
    for name in api.each(data):
        names = [name] if test is None else [name, test]
        stores = [job.store(cache, datasets.dataset_name(one)) for job in jobs for one in names]
        if not all(store.path.exists() for store in stores):
            with suppress(datasets.DatasetNotFound):
                train, *unseen = [_unembedded(datasets.open_dataset(one, root), names.index(one)) for one in names]
                for settings in plans:
                    make_plan(train, unseen[0] if unseen else None, settings)


def _unembedded(dataset: datasets.ImageSet, number: int) -> EmbeddingSet:
    about = {"targets": dataset.targets, "facts": dataset.facts}
    # Vectors that are those of another set would be taken for that set.
    X = np.full((len(dataset), 1), number, np.float32)
    return EmbeddingSet(X, dataset.table, {"name": dataset.name, "dataset": about})


def cells(
    models: Sequence[str], data: Sequence[str], test: str | None, choices: Sequence[Settings], read: Read
) -> Iterator[Cell]:
    """Yield the probes of all encoders on all sets with all choices; each set is read once per encoder.

    Args:
        models, data, test: names. choices: of each probe. read: brings the embeddings of a model and a set up to date.
    """
    for model in api.each(models):
        unseen = read(model, test) if test else None
        for name in api.each(data):
            train = read(model, name)
            for settings in choices:
                yield Cell(train, unseen, settings)


def probe_cell(
    cell: Cell, folder: Path, progress: Progress, again: bool = False, kept: Kept | None = None
) -> ProbeResult:
    """Return the saved result of a cell, or make and save it.

    Args:
        folder: of all results. progress: told in words. again: make it anew in any case. kept: the
            fits of the cell before, which may be those of this one.

    Raises:
        EmbedkitError: as in `embedkit.probe`; the result can't be written.
    """
    known = None if again else cell.done(folder)
    name = f"{cell.train.name}: {cell.settings.classifier} on {cell.train.encoder}"
    if known is not None:
        progress.note(f"{name}: done before, read from {cell.place(folder)}")
        return known
    progress.note(name)
    result = api.probe(cell.train, test=cell.test, progress=progress, kept=kept, **cell.settings.to_dict())
    result.save(cell.place(folder))
    return result


def trained_beside(results: Sequence[ProbeResult], folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Return, for each question, what the best result and each saved trained network of the same question exchange.

    Args:
        results: of probes, ranked. folder: of all results, where `embedkit baseline train` saves too.
        progress: told of a saved network that can't be read or compared, or is of another protocol: it is left aside.
    """
    found = []
    best = {question(one): one for one in reversed(results)}
    for probe in best.values():
        for trained in saved.networks(probe, folder, progress):
            try:
                found.append(exchange(probe, trained))
            except EmbedkitError as error:
                progress.note(f"left aside: {error}")
    return found


def ranked(results: Sequence[ProbeResult], permutations: int = 0) -> list[ProbeResult]:
    """Return results set by set, the highest AUC first, each with its ``comparison`` to the best on the same images.

    The comparison is as in `embedkit.probing.contest`; ``permutations`` too.
    """
    comparisons = compare_to_best(results, permutations)
    compared = [replace(one, comparison=found) for one, found in zip(results, comparisons, strict=True)]
    answered = questions(results)
    first = [answered.index(asked) for asked in answered]
    order = sorted(range(len(results)), key=lambda number: (first[number], -(results[number].auc["value"] or 0)))
    return [compared[number] for number in order]
