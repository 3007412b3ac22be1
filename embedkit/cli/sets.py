"""``embedkit datasets``: what sets there are, fetching one, and comparing one with what its publisher states."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, print_table, say
from embedkit.errors import EmbedkitError, unknown_name

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_SHOWN = 20

Name = Annotated[str, typer.Argument(help="A name of `embedkit datasets`.")]


@app.callback(invoke_without_command=True)
def datasets(
    context: typer.Context,
    modality: Annotated[str | None, typer.Option("--modality", help="Only sets whose modality has this word.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only: ready, partly (there) or absent.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="Only sets whose licence has these words.")] = None,
    root: options.Root = None,
    as_json: options.Json = False,
) -> None:
    """List the data sets by modality: targets, licence, where to get them, and whether they are here."""
    if context.invoked_subcommand is not None:
        return
    every = _rows(root)
    for name, word in {"modality": modality, "licence": licence}.items():
        if not any(_wanted(row, **{name: word}) for row in every):
            known = sorted({row[name] for row in every})
            raise EmbedkitError(f"no set has the {name} '{word}'. There are {', '.join(known)}.")
    rows = [row for row in every if _wanted(row, modality=modality, state=state, licence=licence)]
    if as_json:
        print_json({"results": rows})
        return
    columns = ("data", "modality", "state", "targets", "group", "images", "licence", "here", "how to get it")
    shown = sorted(rows, key=lambda row: row["modality"])
    print_table(
        columns,
        [
            [
                row["data"],
                row["modality"],
                row["state"],
                ", ".join(row["targets"]),
                row["group"],
                sum(row["images"].values()) or "",
                row["licence"],
                row["path"] or "no",
                row["get"],
            ]
            for row in shown
        ],
    )


@app.command("get")
def get(
    name: Name,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the licence without being asked.")] = False,
    archive: Annotated[
        list[Path] | None, typer.Option("--from", help="Unpack these archives, which you downloaded, instead.")
    ] = None,
    root: options.Root = None,
) -> None:
    """Fetch a set that is open to all, resumed and checked; or say where to get it and where its files go."""
    from embedkit import datasets as sets
    from embedkit.datasets.fetch import fetch

    card = _card(name)
    folder = sets.data_root(root) / card.name
    say(f"{card.title}\nlicence: {card.licence}\nplease cite: {card.citation}")
    if not card.files and not archive:
        raise EmbedkitError(f"'{card.name}' can't be fetched for you. {sets.describe(card, root)}")
    if not accept and not (sys.stdin.isatty() and typer.confirm("Do you accept the licence?")):
        raise EmbedkitError(f"the licence of '{card.name}' was not accepted: give --accept, and nothing is asked.")
    if archive:
        for path in archive:
            say(f"{path}: {sets.unpack(path, folder)} files unpacked into {folder}")
        return
    fetch(card, folder, _Bytes())
    say(f"{card.name} is in {folder}")


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A name of `embedkit datasets`, or any set as in --data.")],
    root: options.Root = None,
    quick: Annotated[bool, typer.Option("--quick", help="Don't look for images that are there twice.")] = False,
    text: Annotated[
        bool, typer.Option("--text", help="Look at all pixels for burned-in text, which may name patients.")
    ] = False,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Compare a set on the disk with what its publisher states; exit status 1 where something differs."""
    from embedkit import datasets as sets

    found = sets.check(name, root, contents=not quick)
    if text:
        from embedkit.extraction.lettering import find_text

        paths = find_text(sets.open_dataset(name, root, fetch=False), workers, Steps())
        if paths:
            found.findings.append(sets.Finding("images with what looks like burned-in text", len(paths), tuple(paths)))
    if as_json:
        print_json({"results": [asdict(found)]})
    else:
        say(f"{found.name} in {found.path}: {found.present:,} of {found.images:,} listed images are there")
        for what, counts in (("split", found.splits), ("label", found.classes)):
            if counts:
                print_table((what, "images"), [[label, count] for label, count in counts.items()])
        for finding in found.findings:
            shown = "; ".join(finding.examples[:_SHOWN])
            say(f"{finding.count:,} {finding.what}{f', such as {shown}' if shown else ''}")
        if not found.findings:
            say("all is as the publisher states" if found.stated else "all that the table lists is there")
    if found.findings:
        raise typer.Exit(1)


def _rows(root: Path | None) -> list[dict[str, Any]]:
    from embedkit import datasets as sets

    rows: list[dict[str, Any]] = []
    for name, card in sets.catalog().items():
        place = sets.locate(card, root)
        rows.append(
            {
                "data": name,
                "title": card.title,
                "modality": card.modality,
                "state": sets.condition(card, root),
                "targets": list(card.targets),
                "group": card.group,
                "images": card.counts,
                "licence": card.licence,
                "login": card.login,
                "size": card.size,
                "citation": card.citation,
                "homepage": card.homepage,
                "get": card.get,
                "path": None if place is None else str(place),
            }
        )
    return rows


def _wanted(row: dict[str, Any], **words: str | None) -> bool:
    return all(word is None or word.lower() in row[key].lower() for key, word in words.items())


def _card(name: str) -> Any:
    from embedkit import datasets as sets

    known = sets.catalog()
    found = sets.canonical(name)
    if found is None:
        raise unknown_name("dataset", name, known, "`embedkit datasets` lists all names.")
    return known[found]


class _Bytes:
    """Progress of a download: a line every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, here: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said > 2 or here == total:
            self._said = now
            share = f" of {total / 1e6:,.1f}" if total else ""
            say(f"{here / 1e6:,.1f}{share} MB", error=True)
