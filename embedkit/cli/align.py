"""``embedkit align``: images of any encoder taken into the space of class texts, judged like a probe, and saved."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.results import print_results


def align(
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
        Path | None, typer.Option("--out", help="File of the pair [default: beside the result, .safetensors].")
    ] = None,
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
    """Learn a linear projection of cached image embeddings to the texts of the classes; both towers stay frozen."""
    from embedkit import api, many, words

    api.check_names([image_encoder], [data, *([test] if test else [])])
    pair, result = words.align(
        data,
        image_encoder=image_encoder,
        text_encoder=text_encoder,
        test=test,
        loss=loss,
        hold_out=tuple(hold_out or ()),
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
        folds=folds,
        seed=seed,
        replicates=replicates,
    )
    place = many.place_of(result, many.results_folder(results))
    file = out or place.with_suffix(".safetensors")
    result.save(place)
    pair.save(file)
    if as_json:
        print_json({"results": [{**result.to_dict(), "pair": str(file)}]})
        return
    print_results([result])
    say(f"saved: {place}")
    say(f"saved: {file}")
