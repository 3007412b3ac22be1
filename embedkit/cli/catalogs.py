"""``embedkit models`` and ``embedkit datasets``: what there is, and what of it is at hand."""

from typing import Annotated, Any

import typer

from embedkit._version import __version__
from embedkit.cli import options
from embedkit.cli.console import print_json, print_table


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options before the verb."""


def models(weights: options.Weights = None, as_json: options.Json = False) -> None:
    """List the encoders: dimension, size, licence, what they were trained on, and whether the weights are here."""
    from embedkit import encoders

    rows: list[dict[str, Any]] = []
    for name, card in encoders.catalog().items():
        rows.append(
            {
                "model": name,
                "source": card.source,
                "dim": card.dim,
                "parameters": card.parameters,
                "size": card.preprocessing.size,
                "preprocessing": card.preprocessing.describe(),
                "licence": card.licence,
                "trained_on": card.trained_on,
                "weights": encoders.local_weights(card, weights),
            }
        )
    if as_json:
        print_json({"results": rows})
        return
    print_table(
        ("model", "dim", "M params", "px", "weights here", "licence", "trained on", "source"),
        [
            [
                row["model"],
                row["dim"],
                round(row["parameters"] / 1e6, 1),
                row["size"],
                "yes" if row["weights"] else "no",
                row["licence"],
                row["trained_on"],
                row["source"],
            ]
            for row in rows
        ],
    )


def datasets(root: options.Root = None, as_json: options.Json = False) -> None:
    """List the data sets: modality, targets, licence, where to get them, and whether they are here."""
    from embedkit import datasets as sets

    rows: list[dict[str, Any]] = []
    for name, card in sets.catalog().items():
        place = sets.locate(card, root)
        rows.append(
            {
                "data": name,
                "title": card.title,
                "modality": card.modality,
                "targets": list(card.targets),
                "group": card.group,
                "licence": card.licence,
                "citation": card.citation,
                "homepage": card.homepage,
                "get": card.get,
                "path": None if place is None else str(place),
            }
        )
    if as_json:
        print_json({"results": rows})
        return
    print_table(
        ("data", "modality", "targets", "group", "licence", "here", "how to get it"),
        [
            [
                row["data"],
                row["modality"],
                ", ".join(row["targets"]),
                row["group"],
                row["licence"],
                row["path"] or "no",
                row["get"],
            ]
            for row in rows
        ],
    )
