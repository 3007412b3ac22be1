"""``embedkit zeroshot``: images told apart by the words for their classes, per template and as the ensemble."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.results import check_tables, print_results, write_tables


def zeroshot(
    model: options.Models,
    data: options.Data,
    text_encoder: options.TextEncoder = None,
    prompts: options.Prompts = None,
    target: options.Target = None,
    group: options.Group = None,
    level: Annotated[str, typer.Option("--level", help="Judge per image, group, or value of a column.")] = "image",
    by: Annotated[list[str] | None, typer.Option("--by", help="Column of subgroups, as in `embedkit probe`.")] = None,
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
    table: Annotated[
        list[Path] | None, typer.Option("--table", help="Write the table to .csv, .md or .tex too.")
    ] = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Tell classes apart by their words alone, on cached embeddings of a CLIP: AUC, accuracy and calibration."""
    from embedkit import api, many, words

    check_tables(table or [])
    api.check_names(model, data)
    folder, found, places = many.results_folder(results), [], []
    for encoder in api.each(model):
        for name in api.each(data):
            result = words.zero_shot(
                name,
                model=encoder,
                text_encoder=text_encoder,
                prompts=prompts,
                cache=cache,
                root=root,
                weights=weights,
                text_weights=text_weights,
                precision=precision,
                device=device,
                workers=workers,
                progress=Steps(),
                target=target,
                group=group,
                level=level,
                by=tuple(by or ()),
                seed=seed,
                replicates=replicates,
            )
            places.append(many.place_of(result, folder))
            result.save(places[-1])
            found.append(result)
    found = many.ranked(found)
    if as_json:
        print_json({"results": [result.to_dict() for result in found]})
    else:
        print_results(found)
        for place in places:
            say(f"saved: {place}")
    for path in write_tables(found, table or []):
        say(f"written: {path}", error=as_json)
    failed = [one for result in found for one in result.protocol["failed"]]
    for one in failed:
        say(f"  failed: {one['path']!r}: {one['reason']}: {one['message']}", error=True)
    if len(failed) > allow_failed:
        raise typer.Exit(1)
