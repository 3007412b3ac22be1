"""``embedkit zeroshot``: images told apart by the words for their classes, per template and as the ensemble."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Places, Words, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.results import check_tables, print_results, write_tables


@bundled
def zeroshot(
    *,
    model: options.Models,
    data: options.Data,
    words: Words,
    target: options.Target = None,
    group: options.Group = None,
    level: Annotated[str, typer.Option("--level", help="Judge per image, group, or value of a column.")] = "image",
    by: Annotated[list[str] | None, typer.Option("--by", help="Column of subgroups, as in `embedkit probe`.")] = None,
    seed: options.Seed = 0,
    replicates: options.Replicates = 2000,
    places: Places,
    results: options.Results = None,
    again: options.Again = False,
    table: Annotated[
        list[Path] | None, typer.Option("--table", help="Write the table to .csv, .md or .tex too.")
    ] = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Tell classes apart by their words alone, on cached embeddings of a CLIP: AUC, accuracy and calibration."""
    from embedkit import api, many, saved
    from embedkit.words import zero_shot

    check_tables(table or [])
    api.check_names(model, data)
    folder, steps = saved.results_folder(results), Steps()
    found, files = [], []
    for encoder in api.each(model):
        for name in api.each(data):
            result = zero_shot(
                name,
                model=encoder,
                progress=steps,
                known=None if again else saved.zero_shots(folder, steps),
                target=target,
                group=group,
                level=level,
                by=tuple(by or ()),
                seed=seed,
                replicates=replicates,
                **vars(words),
                **places.given(),
            )
            files.append(saved.place_of(result, folder))
            result.save(files[-1])
            found.append(result)
    found = many.ranked(found)
    if as_json:
        print_json({"results": [result.to_dict() for result in found]})
    else:
        print_results(found)
        for place in files:
            say(f"saved: {place}")
    for path in write_tables(found, table or []):
        say(f"written: {path}", error=as_json)
    failed = [(result.data, one) for result in found for one in result.protocol["failed"]]
    print_failed([one for _, one in failed], "--json")
    end_with(len({(data, one["id"]) for data, one in failed}), allow_failed)
