"""``embedkit probe`` and ``embedkit show``: a judged classifier, and its table again from the saved result."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, interval, print_json, print_table, say
from embedkit.cli.extract import print_failed

if TYPE_CHECKING:
    from embedkit.probing import ProbeResult

_BASELINES_SHOWN = 8
_COLUMNS = (
    "data",
    "model",
    "classifier",
    "target",
    "train",
    "test",
    "groups",
    "AUC (95 %)",
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "C",
)


def probe(
    model: options.Models,
    data: options.Data,
    test: Annotated[
        str | None, typer.Option("--test", help="Another set with the same classes: train on --data, judge on this.")
    ] = None,
    classifier: Annotated[
        list[str] | None, typer.Option("--classifier", "-c", help="logistic, svm-linear or svm-rbf; several allowed.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="What to predict [default: the set's first].")] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column of the patient or lesion that must not be split.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of folds and bootstrap.")] = 0,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Of cross-validation.")] = 5,
    replicates: Annotated[int, typer.Option("--replicates", min=100, help="Of the bootstrap.")] = 2000,
    cache: options.Cache = None,
    root: options.Root = None,
    weights: options.Weights = None,
    precision: options.Precision = None,
    device: options.Device = None,
    workers: options.Workers = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of the results [default: $EMBEDKIT_RESULTS or ./results].")
    ] = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Fit linear and SVM classifiers on cached embeddings and report AUC-ROC with intervals, beside baselines."""
    from embedkit import api

    heads = api.each(classifier or ["logistic"])
    api.check_names(model, [*data, *([test] if test else [])], heads)
    steps = Steps()
    found, failed = [], 0
    for encoder in api.each(model):
        job = api.job_for(encoder, weights=weights, precision=precision, device=device)
        folder = api.cache_folder(cache)
        read = partial(api.bring_up_to_date, job, cache=folder, root=root, workers=workers, progress=steps)
        for name in api.each(data):
            train, unseen = read(name), read(test) if test else None
            for one in filter(None, (train, unseen)):
                failed += len(one.failed)
                print_failed(one.failed, f"{one.name}/{one.encoder}")
            for head in heads:
                if not as_json:
                    steps.note(f"{name}: fitting {head} on {encoder}")
                result = api.probe(
                    train,
                    test=unseen,
                    classifier=head,
                    target=target,
                    group=group,
                    seed=seed,
                    folds=folds,
                    replicates=replicates,
                )
                result.save(_place(result, results))
                found.append(result)
    if as_json:
        print_json({"results": [result.to_dict() for result in found]})
    else:
        print_results(found)
        for result in found:
            say(f"saved: {_place(result, results)}")
    if failed > allow_failed:
        raise typer.Exit(1)


def _place(result: "ProbeResult", folder: Path | None) -> Path:
    base = folder or Path(os.environ.get("EMBEDKIT_RESULTS") or "results")
    pair = result.data if result.test == result.data else f"{result.data}--{result.test}"
    # Vectors that came from plain arrays have no key.
    name = ".".join(part for part in (result.model, result.key, result.classifier, result.target) if part)
    return base / pair / f"{name.replace('/', '-')}.json"


def show(
    files: Annotated[list[Path], typer.Argument(help="Result files that `embedkit probe` saved.")],
    as_json: options.Json = False,
) -> None:
    """Print the table of saved results again."""
    from embedkit.probing import ProbeResult

    found = [ProbeResult.load(path) for path in files]
    if as_json:
        print_json({"results": [result.to_dict() for result in found]})
    else:
        print_results(found)


def print_results(results: Sequence["ProbeResult"]) -> None:
    """Print the numbers, the classes, what was published, and what a reader must know of them."""
    print_table(
        _COLUMNS,
        [
            [
                result.data if result.test == result.data else f"{result.data} -> {result.test}",
                result.model,
                result.classifier,
                result.target,
                result.n_train,
                result.n_test,
                result.n_groups,
                *map(interval, (result.auc, result.accuracy, result.balanced_accuracy, result.f1_macro)),
                _selected(result.selected),
            ]
            for result in results
        ],
    )
    _print_classes(results)
    _print_baselines(results)
    for text in dict.fromkeys(note for result in results for note in result.notes):
        say(f"note: {text}")


def _selected(selected: dict[str, Any]) -> str:
    chosen = selected["C"] if isinstance(selected["C"], list) else [selected["C"]]
    least, most = min(chosen), max(chosen)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _print_classes(results: Sequence["ProbeResult"]) -> None:
    rows = [
        [result.data, result.model, result.classifier, item["label"], item["n"], interval(item["auc"])]
        for result in results
        for item in result.per_class
        if len(result.per_class) > 2
    ]
    if rows:
        say("")
        print_table(("data", "model", "classifier", "class", "n", "AUC (95 %)"), rows, title="Per class")


def _print_baselines(results: Sequence["ProbeResult"]) -> None:
    rows = {}
    for result in results:
        # Only what carries the same metric can stand beside the number.
        for row in [row for row in result.baselines if row["metric"] == "auc"][:_BASELINES_SHOWN]:
            why = ("comparable: " if row["comparable"] else "not comparable: ") + row["why"]
            cells = (result.test, row["model"], row["training"], row["resolution"], row["value"], why, row["source"])
            rows[cells] = cells
    if rows:
        say("")
        columns = ("data", "model", "training", "resolution", "AUC", "comparable?", "source")
        print_table(columns, list(rows.values()), title="Published figures (all of them: --json)")
