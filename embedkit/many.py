"""Several encoders, sets and classifiers in one call: what is done is read, and each is compared to the best."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit import api
from embedkit.baselines import exchange
from embedkit.cache import EmbeddingSet, cache_key
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress
from embedkit.probing import Kept, ProbeResult, Settings, compare_to_best, fingerprint, question

if TYPE_CHECKING:
    from embedkit.text.fewshot import FewShotResult

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
        return _folder_of(folder, train.name, (self.test or train).name) / _file_name(*names)

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


def results_folder(given: Path | str | None = None) -> Path:
    """Return the folder of saved results: as given, else ``EMBEDKIT_RESULTS``, else ``./results``."""
    return Path(given or os.environ.get("EMBEDKIT_RESULTS") or "results")


def place_of(result: ProbeResult, folder: Path) -> Path:
    """Return the file of the result of a trained network, or of a zero-shot one: each wording has its own."""
    wording = str(result.wording.get("text_key", ""))[:8]
    name = _file_name(result.model, result.key, result.classifier, result.target, wording)
    return _folder_of(folder, result.data, result.test) / name


def place_of_table(table: "FewShotResult", folder: Path) -> Path:
    """Return the file of a table of few-shot methods: each choice has its own."""
    choices = cache_key({**table.protocol, "text_encoder": table.text_encoder})[:8]
    name = _file_name(table.model, table.protocol["key"], "few-shot", table.target, choices)
    return _folder_of(folder, table.data, table.test) / name


def is_table(path: Path) -> bool:
    """Return whether a file is named as a saved table of few-shot methods is."""
    return ".few-shot." in path.name


def saved_tables(folder: Path, progress: Progress) -> "Callable[[str], FewShotResult | None]":
    """Return what finds the saved table of few-shot methods of a fingerprint, None where there is none.

    Args:
        folder: of all results. progress: told where a table is read.
    """
    from embedkit.text.fewshot import FewShotResult

    def find(fingerprint: str) -> FewShotResult | None:
        for path in filter(is_table, sorted(folder.glob("*/*.json"))):
            # What can't be read is made anew.
            with suppress(EmbedkitError):
                table = FewShotResult.load(path)
                if table.protocol.get("fingerprint") == fingerprint:
                    progress.note(f"{table.data}: few-shot methods on {table.model}: done before, read from {path}")
                    return table
        return None

    return find


def _folder_of(folder: Path, data: str, test: str) -> Path:
    return folder / (data if data == test else f"{data}--{test}")


def _file_name(*names: str) -> str:
    # Vectors that came from plain arrays have no key.
    return f"{'.'.join(filter(None, names)).replace('/', '-')}.json"


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
    saved = None if again else cell.done(folder)
    name = f"{cell.train.name}: {cell.settings.classifier} on {cell.train.encoder}"
    if saved is not None:
        progress.note(f"{name}: done before, read from {cell.place(folder)}")
        return saved
    progress.note(name)
    result = api.probe(cell.train, test=cell.test, progress=progress, kept=kept, **cell.settings.to_dict())
    result.save(cell.place(folder))
    return result


def trained_beside(results: Sequence[ProbeResult], folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Return, for each question, what the best result and each saved trained network of the same question exchange.

    Args:
        results: of probes, ranked. folder: of all results, where `embedkit baseline train` saves too.
        progress: told of a saved network that can't be read or compared, which is left aside.
    """
    found = []
    best = {question(one): one for one in reversed(results)}
    for probe in best.values():
        for trained in saved_networks(probe, folder, progress):
            try:
                found.append(exchange(probe, trained))
            except EmbedkitError as error:
                progress.note(f"left aside: {error}")
    return found


def saved_networks(result: ProbeResult, folder: Path, progress: Progress) -> list[ProbeResult]:
    """Return the saved results of networks that were trained on the same question; arguments as in `trained_beside`."""
    place = _folder_of(folder, result.data, result.test)
    found = []
    for path in sorted([*place.glob("*.trained.*.json"), *place.glob("*.fine-tuned.*.json")]):
        try:
            found.append(ProbeResult.load(path))
        except EmbedkitError as error:
            progress.note(f"left aside: {error}")
    return [trained for trained in found if question(trained) == question(result)]


def ranked(results: Sequence[ProbeResult], permutations: int = 0) -> list[ProbeResult]:
    """Return results set by set, the highest AUC first, each with its ``comparison`` to the best on the same images.

    The comparison is as in `embedkit.probing.contest`; ``permutations`` too.
    """
    comparisons = compare_to_best(results, permutations)
    compared = [replace(one, comparison=found) for one, found in zip(results, comparisons, strict=True)]
    order = {question(one): number for number, one in reversed(list(enumerate(results)))}
    return sorted(compared, key=lambda one: (order[question(one)], -(one.auc["value"] or 0)))
