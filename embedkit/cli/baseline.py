"""``embedkit baseline``: a network trained on the images of a probe, and what it costs more than the probe."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Protocol, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.costs import print_costs, print_exchange
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.results import print_results

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train a network on the same images to set a probe against."
)


@app.command("train")
@bundled
def train(
    *,
    data: Annotated[
        str, typer.Option("--data", "-d", help="Images: a name of `embedkit datasets`, folder:PATH or csv:PATH.")
    ],
    arch: Annotated[
        str, typer.Option("--arch", "-a", help="A network of timm, such as resnet18, or an encoder that timm builds.")
    ] = "resnet18",
    test: options.Test = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A local checkpoint to start from [default: random weights].")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most.")] = 30,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Stop after so many epochs without a better validation AUC.")
    ] = 8,
    size: Annotated[int, typer.Option("--size", min=16, help="Side in pixels to which images are squashed.")] = 224,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Images per step.")] = 32,
    lr: Annotated[
        float | None, typer.Option("--lr", help="Highest learning rate [default: .001, with --weights .0002].")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Mirror left and right at random: only where images have no sides.")
    ] = False,
    class_weight: options.ClassWeight = None,
    protocol: Protocol,
    cache: options.Cache = None,
    root: options.Root = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    results: options.Results = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Train a network end to end and judge it like a probe. Killed, it goes on after the last finished epoch."""
    from embedkit import api, saved

    recipe = {
        "weights": weights,
        "epochs": epochs,
        "patience": patience,
        "size": size,
        "batch": batch,
        "lr": lr,
        "flip": flip,
        "precision": precision,
        "device": device,
    }
    result = api.train_baseline(
        arch,
        data,
        test=test,
        cache=cache,
        root=root,
        workers=workers,
        progress=Steps(),
        recipe=recipe,
        class_weight=class_weight,
        **vars(protocol),
    )
    place = saved.place_of(result, saved.results_folder(results))
    result.save(place)
    if as_json:
        print_json({"results": [result.to_dict()]})
    else:
        print_results([result])
        print_costs({f"{result.model}, {result.classifier}": result.cost})
        say(f"saved: {place}")
    failed = result.protocol["training"]["failed"]
    print_failed(failed, "--json")
    end_with(len(failed), allow_failed)


@app.command("exchange")
def exchange(
    probe: Annotated[Path, typer.Argument(help="A result that `embedkit probe` saved.")],
    trained: Annotated[Path, typer.Argument(help="A result that `embedkit baseline train` saved.")],
    as_json: options.Json = False,
) -> None:
    """Say what training cost more than the probe, and what AUC it bought on the same images."""
    from embedkit import baselines
    from embedkit.probing import ProbeResult

    found = baselines.exchange(ProbeResult.load(probe), ProbeResult.load(trained))
    if as_json:
        print_json({"results": [found]})
        return
    print_exchange(found)
