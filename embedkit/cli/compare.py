"""``embedkit compare``: what words, a few labels, all labels and a trained network give on the same images."""

from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.fewshot import print_table_of
from embedkit.cli.probe import numbers
from embedkit.cli.results import print_results


def compare(
    model: Annotated[str, typer.Option("--model", "-m", help="Image encoder: as in `embedkit probe`.")],
    data: Annotated[str, typer.Option("--data", "-d", help="Images: as in `embedkit probe`.")],
    test: options.Test = None,
    text_encoder: options.TextEncoder = None,
    shots: Annotated[str, typer.Option("--shots", help="Images per class, like 1,2,4.")] = "1,2,4,8,16",
    prompts: options.Prompts = None,
    target: options.Target = None,
    group: options.Group = None,
    folds: options.Folds = 5,
    seed: options.Seed = 0,
    replicates: options.Replicates = 2000,
    cache: options.Cache = None,
    root: options.Root = None,
    weights: options.Weights = None,
    text_weights: options.TextWeights = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    results: options.Results = None,
    as_json: options.Json = False,
) -> None:
    """Compare zero-shot, few-shot, aligned, linear probe and saved trained networks on the same images and splits."""
    from embedkit import api, comparing

    api.check_names([model], [data, *([test] if test else [])])
    found = comparing.compare(
        data,
        model=model,
        text_encoder=text_encoder,
        test=test,
        shots=numbers(shots, "--shots", int),
        prompts=prompts,
        cache=cache,
        root=root,
        results=results,
        weights=weights,
        text_weights=text_weights,
        precision=precision,
        device=device,
        workers=workers,
        progress=Steps(),
        target=target,
        group=group,
        folds=folds,
        seed=seed,
        replicates=replicates,
    )
    if as_json:
        print_json({"results": [*(one.to_dict() for one in found.results), found.few_shot.to_dict()]})
        return
    print_results(found.results)
    say("")
    print_table_of(found.few_shot)
    for note in found.notes:
        say(f"note: {note}")
