"""``embedkit models``: what encoders there are, and which weights are at hand."""

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
