"""``embedkit probe`` and ``embedkit show``: judged classifiers, and their table again from the saved results."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from embedkit.cli import options
from embedkit.cli.bundles import Places, bundled
from embedkit.cli.console import Steps, print_json, say
from embedkit.cli.costs import print_exchange
from embedkit.cli.failures import end_with, print_failed
from embedkit.cli.results import check_tables, draw, print_results, write_tables
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from embedkit.cache import EmbeddingSet
    from embedkit.probing import ProbeResult

_N = TypeVar("_N", int, float)

Tables = Annotated[
    list[Path] | None,
    typer.Option("--table", help="Write the table to this .csv, .md or .tex file too; several allowed."),
]
Figures = Annotated[
    Path | None, typer.Option("--figures", help="Draw ROC, reliability, decision and learning curves into this folder.")
]


@bundled
def probe(
    *,
    model: options.Models,
    data: options.Data,
    test: options.Test = None,
    classifier: Annotated[
        list[str] | None,
        typer.Option(
            "--classifier", "-c", help="logistic, svm-linear, svm-rbf, knn, lda or centroid; several allowed."
        ),
    ] = None,
    target: options.Target = None,
    group: options.Group = None,
    level: Annotated[
        list[str] | None,
        typer.Option(
            "--level",
            help="Judge per image, per group, or per value of a column (study, or group+laterality); several allowed.",
        ),
    ] = None,
    pool: Annotated[
        str,
        typer.Option(
            "--pool", help="Of the images of a level: probabilities or embeddings (means), or embeddings-max."
        ),
    ] = "probabilities",
    views: Annotated[
        str | None,
        typer.Option(
            "--views", help="Column of views, or view:CC,MLO: those of one case (--level) side by side as one vector."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="published, or folds: cross-validate though there is a split.")
    ] = "published",
    sites: Annotated[
        str | None, typer.Option("--sites", help="Column of hospitals or scanners: each is held out in turn.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Column of subgroups, like sex, age, or age:40,60 to cut there; several allowed."),
    ] = None,
    class_weight: options.ClassWeight = None,
    folds: options.Folds = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Of cross-validation, each cut anew.")] = 1,
    fractions: Annotated[
        str | None, typer.Option("--fractions", help="Learning curve: percent of the training groups, like 1,10,100.")
    ] = None,
    shots: Annotated[
        str | None, typer.Option("--shots", help="Learning curve: images per class, like 1,2,4,8,16.")
    ] = None,
    draws: Annotated[
        int | None, typer.Option("--draws", min=2, help="Of each point of a learning curve [default: 5].")
    ] = None,
    specificity: Annotated[float, typer.Option("--specificity", help="At which sensitivity is told.")] = 0.9,
    sensitivity: Annotated[float, typer.Option("--sensitivity", help="At which specificity is told.")] = 0.9,
    seed: options.Seed = 0,
    replicates: options.Replicates = 2000,
    permutations: Annotated[
        int, typer.Option("--permutations", min=0, help="Compare by so many permutations, not by the bootstrap.")
    ] = 0,
    pseudonymise: options.Pseudonymise = False,
    places: Places,
    results: options.Results = None,
    again: options.Again = False,
    table: Tables = None,
    figures: Figures = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Fit simple classifiers on cached embeddings and report AUC-ROC with intervals, beside baselines."""
    from embedkit import api, datasets, encoders, many, saved
    from embedkit.probing import Kept, Settings

    check_tables(table or [])
    if pseudonymise:
        data, test = list(map(datasets.pseudonymous, data)), test and datasets.pseudonymous(test)
    heads, levels = api.each(classifier or ["logistic"]), api.each(level or ["image"])
    one, curve = len(heads) * len(api.each(model)) == 1, fractions or shots
    _refuse_idle(pool != "probabilities" and levels == ["image"], "--pool is of the images of a level: name a --level")
    _refuse_idle(class_weight and heads == ["centroid"], "--class-weight changes no centroid: name another classifier")
    _refuse_idle(draws and not curve, "--draws are of a learning curve: ask for one by --fractions or --shots")
    _refuse_idle(permutations and one, "--permutations compare results: name several by --model or --classifier")
    api.check_names(model, [*data, *([test] if test else [])], heads)
    # Of several devices that embed, the first one fits.
    solves_on = next(iter(encoders.devices_of(places.device)), "cpu")
    choices = [
        Settings(
            classifier=head,
            target=target,
            group=group,
            split=split,
            sites=sites,
            folds=folds,
            repeats=repeats,
            seed=seed,
            replicates=replicates,
            class_weight=class_weight if head != "centroid" else None,
            level=each_level,
            pool=pool if each_level != "image" else "probabilities",
            views=views,
            by=tuple(by or ()),
            specificity=specificity,
            sensitivity=sensitivity,
            fractions=numbers(fractions, "--fractions", float),
            shots=numbers(shots, "--shots", int),
            draws=draws or Settings.draws,
            device=solves_on,
        )
        for head in heads
        for each_level in levels
    ]
    steps = Steps()
    failed: set[tuple[str, str]] = set()
    how: dict[str, Any] = {"weights": places.weights, "precision": places.precision, "device": places.device}
    where: dict[str, Any] = {"cache": api.cache_folder(places.cache), "root": places.root, "workers": places.workers}
    jobs = {name: api.job_for(name, progress=steps, **how, **where) for name in api.each(model)}
    many.refuse_early(data, test, choices, list(jobs.values()), where["cache"], places.root)
    if len(jobs) > 1:
        sets = list(dict.fromkeys([*data, *([test] if test else [])]))
        api.bring_all_up_to_date(list(jobs.values()), sets, progress=steps, **where)

    def read(encoder: str, name: str) -> "EmbeddingSet":
        one = api.bring_up_to_date(jobs[encoder], name, progress=steps, **where)
        print_failed(one.failed.to_dict("records"), f"embedkit cache info {one.name}/{one.encoder}")
        failed.update((one.name, image) for image in one.failed["id"])
        return one

    folder = saved.results_folder(results)
    found, files, kept = [], [], Kept()
    for cell in many.cells(model, data, test, choices, read):
        found.append(many.probe_cell(cell, folder, steps, again, kept))
        files.append(cell.place(folder))
    found = many.ranked(found, permutations)
    if as_json:
        print_json({"results": [result.to_dict() for result in found]})
    else:
        print_results(found)
        for exchanged in many.trained_beside(found, folder, steps):
            say("\nBeside a network trained on the same images")
            print_exchange(exchanged)
        for place in files:
            say(f"saved: {place}")
    write_more(found, table, figures, as_json)
    end_with(len(failed), allow_failed)


def write_more(found: list["ProbeResult"], table: list[Path] | None, figures: Path | None, as_json: bool) -> None:
    """Write the tables and figures that are asked for, and say where."""
    written = [*write_tables(found, table or []), *(draw(found, figures) if figures else [])]
    for path in written:
        say(f"written: {path}", error=as_json)


def numbers(text: str | None, option: str, kind: Callable[[str], _N]) -> tuple[_N, ...]:
    """Return the numbers of a list such as 1,2,4.

    Raises:
        EmbedkitError: it is no such list.
    """
    try:
        return tuple(kind(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise EmbedkitError(f"{option} {text} is no list of numbers: write it like 1,2,4") from error


def _refuse_idle(idle: object, what: str) -> None:
    """Refuse an option that would change nothing, and be passed over in silence."""
    if idle:
        raise EmbedkitError(f"{what}, or leave it out")
