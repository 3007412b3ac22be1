"""``embedkit compare``: what words, a few labels, all labels and a trained network give on the same images."""

from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Places, Protocol, Words, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.fewshot import print_table_of
from embedkit.cli.probe import numbers
from embedkit.cli.results import print_results


@bundled
def compare(
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="Image encoder: as in `embedkit probe`.")],
    data: Annotated[str, typer.Option("--data", "-d", help="Images: as in `embedkit probe`.")],
    test: options.Test = None,
    words: Words,
    shots: Annotated[str, typer.Option("--shots", help="Images per class, like 1,2,4.")] = "1,2,4,8,16",
    protocol: Protocol,
    places: Places,
    results: options.Results = None,
    again: options.Again = False,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare zero-shot, few-shot, aligned, linear probe and saved trained networks on the same images and splits."""
    from embedkit import api, comparing

    api.check_names([model], [data, *([test] if test else [])])
    found = comparing.compare(
        data,
        model=model,
        test=test,
        shots=numbers(shots, "--shots", int),
        results=results,
        again=again,
        progress=Steps(),
        **vars(words),
        **places.given(),
        **vars(protocol),
    )
    if as_json:
        print_json({"results": [*(one.to_dict() for one in found.results), found.few_shot.to_dict()]})
    else:
        print_results(found.results)
        say("")
        print_table_of(found.few_shot)
        for note in found.notes:
            say(f"note: {note}")
        for file in found.files:
            say(f"saved: {file}")
    # Every route is of the same embeddings.
    failed = found.few_shot.failed
    print_failed(failed, "--json")
    end_with(len(failed), allow_failed)
