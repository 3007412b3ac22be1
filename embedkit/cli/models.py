"""``embedkit models``: what encoders there are and which are at hand, and whether a file is of one of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedkit.cli import options
from embedkit.cli.console import print_json, print_table, say

if TYPE_CHECKING:
    from embedkit.encoders import Fit

app = typer.Typer(
    help="List the encoders: dimension, size, licence, what they were trained on, and whether the weights are here.",
    rich_markup_mode=None,
)
_SHOWN = 10


@app.callback(invoke_without_command=True)
def models(context: typer.Context, weights: options.Weights = None, as_json: options.Json = False) -> None:
    """List the encoders: dimension, size, licence, what they were trained on, and whether the weights are here."""
    if context.invoked_subcommand is not None:
        return
    from embedkit import encoders

    rows: list[dict[str, Any]] = []
    for name, card in encoders.catalog().items():
        rows.append(
            {
                "model": name,
                "source": card.source,
                "dim": card.dim,
                "parameters": card.parameters,
                "text": encoders.has_text(card),
                "size": card.preprocessing.size,
                "preprocessing": card.preprocessing.describe(),
                "licence": card.licence,
                "access": card.access,
                "get": card.get,
                "trained_on": card.trained_on,
                "homepage": card.homepage,
                "citation": card.citation,
                "weights": encoders.local_weights(card, weights),
            }
        )
    if as_json:
        print_json({"results": rows})
        return
    print_table(
        ("model", "dim", "M params", "px", "text tower", "weights here", "licence", "access", "trained on", "source"),
        [
            [
                row["model"],
                row["dim"],
                round(row["parameters"] / 1e6, 1),
                row["size"],
                "yes" if row["text"] else "no",
                "yes" if row["weights"] else "no",
                row["licence"],
                row["access"].partition(":")[0],
                row["trained_on"],
                row["source"],
            ]
            for row in rows
        ],
    )


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Encoder: a name of `embedkit models`, timm:NAME or open_clip:MODEL/.")],
    file: Annotated[Path, typer.Argument(help="Its weights: safetensors or torch.")],
    as_json: options.Json = False,
) -> None:
    """Say whether a file holds the weights of an encoder: what is missing, surplus or misshapen, and whose it may be.

    Exit status 2 if it does not fit.
    """
    from embedkit import encoders

    fit = encoders.check(encoders.resolve(name), file)
    if as_json:
        print_json({"results": [_as_json(name, file, fit)]})
    else:
        _print(name, file, fit)
    if not fit.fits:
        raise typer.Exit(2)


def _as_json(name: str, file: Path, fit: "Fit") -> dict[str, Any]:
    differences = fit.comparison.differences
    return {
        "model": name,
        "file": str(file),
        "fits": fit.fits,
        "reason": fit.comparison.reason,
        "tensors": fit.tensors,
        "seems": fit.seems,
        "missing": list(differences.missing),
        "surplus": list(differences.surplus),
        "misshapen": [
            {"tensor": tensor, "found": list(found), "wanted": list(wanted)}
            for tensor, found, wanted in differences.misshapen
        ],
        "others": list(fit.others),
        "nearest": fit.nearest,
    }


def _print(name: str, file: Path, fit: "Fit") -> None:
    say(f"{file} {'fits' if fit.fits else 'does not fit'} {name}. {fit.seems}")
    differences = fit.comparison.differences
    rows = [
        *([tensor, "missing", "", ""] for tensor in differences.missing[:_SHOWN]),
        *([tensor, "surplus", "", ""] for tensor in differences.surplus[:_SHOWN]),
        *(
            [tensor, "of another shape", " x ".join(map(str, found)), " x ".join(map(str, wanted))]
            for tensor, found, wanted in differences.misshapen[:_SHOWN]
        ),
    ]
    if rows:
        counts = len(differences.missing), len(differences.surplus), len(differences.misshapen)
        print_table(
            ("tensor", "is", "in the file", "in the model"),
            rows,
            title="{} missing, {} surplus, {} of another shape".format(*counts)
            + (f" (the first {_SHOWN} of each)" if max(counts) > _SHOWN else ""),
        )
    if fit.others:
        also = "It fits these too, by names and shapes" if fit.fits else "It fits"
        say(f"{also}: {', '.join(fit.others)}.")
    elif fit.nearest:
        say(f"It fits no model of the catalog; {fit.nearest} is the nearest.")
    elif not fit.fits:
        say("It fits no model of the catalog. Of another model of timm it is used as --model timm:NAME --weights FILE.")
