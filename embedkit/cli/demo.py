"""``embedkit demo``: the whole journey on phantoms, without a download."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.results import print_results


def demo(
    to: Annotated[Path, typer.Option("--to", help="Where the phantoms, caches, results and figures go.")] = Path(
        "demo"
    ),
    as_json: options.Json = False,
) -> None:
    """Make synthetic phantoms of four modalities, embed and probe them, and draw the figures."""
    from embedkit.demo import run_demo

    found = run_demo(to, Steps())
    if as_json:
        print_json({"results": [result.to_dict() for result in found.results]})
        return
    say("\nSYNTHETIC PHANTOMS, not medical images: the numbers say that the tool works, nothing about medicine.\n")
    print_results(found.results)
    say("")
    for figure in found.figures:
        say(f"figure: {figure}")
    say(
        "\nNow with your own images, in folders named by class or listed in a CSV (columns path, label, group):\n"
        "  embedkit probe --model efficientnet-lite0 --data folder:PATH\n"
        "  embedkit probe --model efficientnet-lite0 --data csv:PATH\n"
        "Other encoders: embedkit models. Published sets: embedkit datasets."
    )
