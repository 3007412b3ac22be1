"""``embedkit align``: images of any encoder taken into the space of class texts, judged like a probe, and saved."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Places, Protocol, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.results import print_results


@bundled
def align(
    *,
    image_encoder: Annotated[
        str, typer.Option("--image-encoder", help="Any encoder: a name of `embedkit models`, timm:NAME, onnx:PATH, ….")
    ],
    data: Annotated[str, typer.Option("--data", "-d", help="Images: as in `embedkit probe`.")],
    text_encoder: Annotated[
        str, typer.Option("--text-encoder", help="minilm, hf:FOLDER, or a CLIP for its text tower.")
    ] = "minilm",
    test: options.Test = None,
    loss: Annotated[str, typer.Option("--loss", help="cross-entropy, textual or contrastive.")] = "cross-entropy",
    hold_out: Annotated[
        list[str] | None,
        typer.Option("--hold-out", help="A class to learn nothing of, judged by its text alone; several allowed."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the pair to this file too; it lies beside the result in any case."),
    ] = None,
    prompts: options.Prompts = None,
    text_weights: options.TextWeights = None,
    protocol: Protocol,
    places: Places,
    results: options.Results = None,
    again: options.Again = False,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Learn a linear projection of cached image embeddings to the texts of the classes; both towers stay frozen."""
    from embedkit import api, saved, words

    api.check_names([image_encoder], [data, *([test] if test else [])])
    folder, steps = saved.results_folder(results), Steps()
    pair, result = words.align(
        data,
        image_encoder=image_encoder,
        text_encoder=text_encoder,
        test=test,
        loss=loss,
        hold_out=tuple(hold_out or ()),
        prompts=prompts,
        text_weights=text_weights,
        progress=steps,
        known=None if again else saved.pairs(folder, steps),
        **places.given(),
        **vars(protocol),
    )
    place, beside = saved.place_of(result, folder), saved.place_of_pair(result, folder)
    result.save(place)
    files = [beside, *([out] if out else [])]
    for file in files:
        pair.save(file)
    if as_json:
        print_json({"results": [{**result.to_dict(), "pair": str(files[-1])}]})
    else:
        print_results([result])
        for file in (place, *files):
            say(f"saved: {file}")
    failed = result.protocol["failed"]
    print_failed(failed, "--json")
    end_with(len(failed), allow_failed)
