"""``embedkit fewshot``: what several methods make of a few labelled images, as a table and a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Places, Protocol, Words, bundled
from embedkit.cli.console import Steps, interval, print_json, print_table, say
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.probe import numbers

if TYPE_CHECKING:
    from embedkit.text.fewshot import FewShotResult

_COLUMNS = ("method", "learnt from", "images", "tuned on", "AUC (95 %)", "deviation of draws", "to the linear probe")


@bundled
def fewshot(
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="Image encoder: as in `embedkit probe`.")],
    data: Annotated[str, typer.Option("--data", "-d", help="Images: as in `embedkit probe`.")],
    test: options.Test = None,
    words: Words,
    aligned: Annotated[
        Path | None, typer.Option("--aligned", help="A pair that `embedkit align` saved: the space of its texts.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="linear-probe, prototypes, text, tip-adapter, tip-adapter-f, clip-adapter or lp++; several allowed.",
        ),
    ] = None,
    shots: Annotated[str, typer.Option("--shots", help="Images per class, like 1,2,4; none for none.")] = "1,2,4,8,16",
    fractions: Annotated[
        str | None, typer.Option("--fractions", help="Percent of the training groups, like 5,10,20,50,100.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=2, help="Of each amount.")] = 5,
    loss: Annotated[
        str,
        typer.Option("--loss", help="Of a projection to texts of another space: cross-entropy, textual, contrastive."),
    ] = "cross-entropy",
    protocol: Protocol,
    places: Places,
    results: options.Results = None,
    figures: Annotated[Path | None, typer.Option("--figures", help="Draw AUC over shots into this folder.")] = None,
    again: options.Again = False,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Learn from a few images per class with several methods, all tuned on validation shots, and compare them."""
    from embedkit import api, saved
    from embedkit.words import few_shot

    api.check_names([model], [data, *([test] if test else [])])
    folder, steps = saved.results_folder(results), Steps()
    found = few_shot(
        data,
        model=model,
        aligned=aligned,
        test=test,
        methods=tuple(method or ()),
        progress=steps,
        known=None if again else saved.tables(folder, steps),
        loss=loss,
        shots=() if shots == "none" else numbers(shots, "--shots", int),
        fractions=numbers(fractions, "--fractions", float),
        draws=draws,
        **vars(words),
        **places.given(),
        **vars(protocol),
    )
    place = saved.place_of_table(found, folder)
    found.save(place)
    if as_json:
        print_json({"results": [found.to_dict()]})
    else:
        print_table_of(found)
        say(f"saved: {place}")
    for path in draw_curves(found, figures) if figures else []:
        say(f"written: {path}", error=as_json)
    print_failed(found.failed, "--json")
    end_with(len(found.failed), allow_failed)


def print_table_of(found: "FewShotResult") -> None:
    """Print the methods at their amounts, and what a reader must know of them."""
    rows = [
        [
            point["method"],
            _amount(point),
            point["n_train"],
            point["n_val"],
            interval(point["auc"]),
            "" if point["deviation"] is None else f"{point['deviation']:.3f}",
            _difference(point["difference"]),
        ]
        for point in found.points
    ]
    where = found.data if found.data == found.test else f"{found.data} -> {found.test}"
    texts = f", texts of {found.text_encoder}" if found.text_encoder else ""
    judged = f"{found.n_test} images of {found.n_groups} groups judged"
    print_table(_COLUMNS, rows, title=f"{where}: {found.target}, {found.model}{texts}, {judged}")
    for note in found.notes:
        say(f"note: {note}")


def _amount(point: dict[str, Any]) -> str:
    size = f"{point['amount']:g}"
    return f"{size} %" if point["kind"] == "fraction" else f"{size} shot" + ("s" if size != "1" else "")


def _difference(value: dict[str, float | None] | None) -> str:
    if value is None:
        return ""
    if value["low"] is None:
        return f"{value['value']:+.3f}"
    return f"{value['value']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})"


def draw_curves(found: "FewShotResult", folder: Path) -> list[Path]:
    """Draw the methods over shots and over fractions; return the files."""
    from embedkit import report

    name = found.data if found.data == found.test else f"{found.data}--{found.test}"
    files = []
    for kind in ("shots", "fraction"):
        curves = found.curves(kind)
        if curves:
            path = folder / f"{name}.{found.target}.{found.model}.few-{kind}.png".replace("/", "-")
            report.learning_curve_figure(curves, path, f"{name}: {found.model}")
            files.append(path)
    return files
