"""Saved results: each has its place below one folder, and what was asked before is read from there.

A verb hands its finder (`tables`, `pairs`, `zero_shots`) to the function that does the work, which knows what makes two
questions the same and calls it with their fingerprint.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.cache import cache_key
from embedkit.encoders import AlignedPair
from embedkit.errors import EmbedkitError
from embedkit.extraction import Progress
from embedkit.probing import ProbeResult, question

if TYPE_CHECKING:
    from embedkit.text.fewshot import FewShotResult


def results_folder(given: Path | str | None = None) -> Path:
    """Return the folder of saved results: as given, else ``EMBEDKIT_RESULTS``, else ``./results``."""
    return Path(given or os.environ.get("EMBEDKIT_RESULTS") or "results")


def place_of(result: ProbeResult, folder: Path) -> Path:
    """Return the file of the result of a trained network, a pair, or words alone, each question its own."""
    wording = str(result.protocol["fingerprint"])[:8] if result.wording else ""
    name = file_name(result.model, result.key, result.classifier, result.target, wording)
    return folder_of(folder, result.data, result.test) / name


def place_of_pair(result: ProbeResult, folder: Path) -> Path:
    """Return the file of an aligned pair, beside that of its result."""
    return place_of(result, folder).with_suffix(".safetensors")


def place_of_table(table: "FewShotResult", folder: Path) -> Path:
    """Return the file of a table of few-shot methods: each choice has its own."""
    choices = cache_key({**table.protocol, "text_encoder": table.text_encoder})[:8]
    name = file_name(table.model, table.protocol["key"], "few-shot", table.target, choices)
    return folder_of(folder, table.data, table.test) / name


def folder_of(folder: Path, data: str, test: str) -> Path:
    """Return the folder of all results of what was learnt from one set and judged on another, or on itself."""
    return folder / (data if data == test else f"{data}--{test}")


def file_name(*names: str) -> str:
    """Return the name of a result's file; vectors that came from plain arrays have no key."""
    return f"{'.'.join(filter(None, names)).replace('/', '-')}.json"


def is_table(path: Path) -> bool:
    """Return whether a file is named as a saved table of few-shot methods is."""
    return ".few-shot." in path.name


def tables(folder: Path, progress: Progress) -> "Callable[[str], FewShotResult | None]":
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
                    _tell(progress, table.data, f"few-shot methods on {table.model}", path)
                    return table
        return None

    return find


def pairs(folder: Path, progress: Progress) -> Callable[[str], tuple[AlignedPair, ProbeResult] | None]:
    """Return what finds a saved pair and its result by their key; arguments as in `tables`."""

    def find(key: str) -> tuple[AlignedPair, ProbeResult] | None:
        for path, result in _results(folder, f"*.{key}.aligned.*.json"):
            with suppress(EmbedkitError):
                pair = AlignedPair.load(place_of_pair(result, folder))
                if pair.key == result.key == key:
                    _tell(progress, result.data, f"{result.classifier} on {result.model}", path)
                    return pair, result
        return None

    return find


def zero_shots(folder: Path, progress: Progress) -> Callable[[str], ProbeResult | None]:
    """Return what finds a saved zero-shot result by its fingerprint; arguments as in `tables`."""

    def find(fingerprint: str) -> ProbeResult | None:
        for path, result in _results(folder, f"*.zero-shot.*.{fingerprint[:8]}.json"):
            if result.protocol.get("fingerprint") == fingerprint:
                _tell(progress, result.data, f"{result.classifier} on {result.model}", path)
                return result
        return None

    return find


def networks(result: ProbeResult, folder: Path, progress: Progress) -> list[ProbeResult]:
    """Return the saved results of networks that were trained on the same question as a result.

    Args:
        result: what they are to be set beside. folder: of all results, where `embedkit baseline train` saves too.
        progress: told of a saved network that can't be read, or is of another protocol: it is left aside.
    """
    place = folder_of(folder, result.data, result.test)
    asked = question(result)
    found = []
    for path in sorted([*place.glob("*.trained.*.json"), *place.glob("*.fine-tuned.*.json")]):
        try:
            trained = ProbeResult.load(path)
        except EmbedkitError as error:
            progress.note(f"left aside: {error}")
            continue
        answered = question(trained)
        if answered == asked:
            found.append(trained)
        elif answered[:-1] == asked[:-1]:
            progress.note(
                f"left aside: {path} is of another protocol ({answered.protocol}) than {result.model} "
                f"({asked.protocol}): the two have not learnt from the same images"
            )
    return found


def _results(folder: Path, pattern: str) -> Iterator[tuple[Path, ProbeResult]]:
    for path in sorted(folder.glob(f"*/{pattern}")):
        try:
            result = ProbeResult.load(path)
        except EmbedkitError:
            # What can't be read is made anew, over it.
            continue
        yield path, result


def _tell(progress: Progress, data: str, what: str, path: Path) -> None:
    progress.note(f"{data}: {what}: done before, read from {path}")
