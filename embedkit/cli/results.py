"""How results are shown: the table and what stands below it on a terminal, and the same in files."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.cli.console import interval, print_table, say

if TYPE_CHECKING:
    from embedkit.probing import ProbeResult

_BASELINES_SHOWN = 8
_COLUMNS = (
    "data",
    "model",
    "classifier",
    "target",
    "level",
    "protocol",
    "train",
    "test",
    "groups",
    "AUC (95 %)",
    "to the best",
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "chosen",
)


def print_results(results: Sequence["ProbeResult"]) -> None:
    """Print the numbers, the classes, what was published, and what a reader must know of them."""
    # What is the same for all says nothing in a table.
    idle = {"level"} if all(result.level == "image" for result in results) else set()
    idle |= {"to the best"} if not any(result.comparison for result in results) else set()
    protocols = _protocols(results)
    idle |= {"protocol"} if len(set(protocols)) == 1 else set()
    shown = [number for number, name in enumerate(_COLUMNS) if name not in idle]
    rows = [[row[number] for number in shown] for row in map(_row, results, protocols)]
    print_table([_COLUMNS[number] for number in shown], rows)
    _print_classes(results)
    _print_templates(results)
    _print_subgroups(results)
    _print_learning_curves(results)
    _print_baselines(results)
    _print_notes(results)


def check_tables(files: Sequence[Path]) -> None:
    """Refuse a file that no table can be written to, before anything is computed."""
    from embedkit.report import check_table

    for path in files:
        check_table(path)


def write_tables(results: Sequence["ProbeResult"], files: Sequence[Path]) -> list[Path]:
    """Write the table of the numbers to files, by their suffix; return them."""
    from embedkit.report import write_table

    for path in files:
        write_table(_COLUMNS, list(map(_row, results, _protocols(results))), path)
    return list(files)


def draw(results: Sequence["ProbeResult"], folder: Path) -> list[Path]:
    """Draw what can be drawn of each set's results into PNG files; return them."""
    from embedkit import report
    from embedkit.probing import questions

    files: list[Path] = []
    asked = questions(results)
    one_protocol = len({question[:-1] for question in asked}) == len(set(asked))

    def at(*parts: str) -> Path:
        files.append(folder / f"{'.'.join(parts).replace('/', '-')}.png")
        return files[-1]

    for question, several in groupby(zip(asked, results, _names(results), strict=True), lambda row: row[0]):
        data, test, target, level, protocol = question
        shown = [(who, result) for _, result, who in several]
        parts = [data if data == test else f"{data}--{test}", target, *([level] if level != "image" else [])]
        name = ".".join(parts if one_protocol else [*parts, protocol])
        if all(len(result.classes) == 2 for _, result in shown):
            curves = {who: report.roc_of(result) for who, result in shown if result.auc["value"] is not None}
            report.roc_figure(curves, at(name, "roc"), f"{name}: '{shown[0][1].classes[1]}'")
        for kind in ("fraction", "shots"):
            points = {who: list(_points(result, kind)) for who, result in shown}
            points = {who: some for who, some in points.items() if some}
            if points:
                report.learning_curve_figure(points, at(name, f"{kind}-curve"), f"{name}: learning curve")
        bins = {who: result.calibration.get("reliability") for who, result in shown}
        single = {who: some[0] for who, some in bins.items() if some and len(some) == 1}
        if single:
            report.reliability_figure(single, at(name, "reliability"), f"{name}: reliability")
        for who, result in shown:
            for curve in result.decision_curve if len(result.classes) == 2 else []:
                place = at(name, who.replace(", ", "."), "decision")
                report.decision_curve_figure(curve, place, f"{name}: {who}")
    return files


def _names(results: Sequence["ProbeResult"]) -> list[str]:
    """Return the name of each in a figure, where no two of one question may share theirs."""
    return [
        ", ".join([result.model, result.classifier, *chosen])
        for result, chosen in zip(results, _choices(results), strict=True)
    ]


def _points(result: "ProbeResult", kind: str) -> Iterator[dict[str, Any]]:
    return (point for point in result.learning_curve.get("points", []) if point["kind"] == kind)


def _protocols(results: Sequence["ProbeResult"]) -> list[str]:
    """Return of each who is learnt from and judged, and the choices that tell it from others of its name there."""
    from embedkit.probing import question

    return [
        "; ".join([question(result).protocol, *chosen])
        for result, chosen in zip(results, _choices(results), strict=True)
    ]


def _choices(results: Sequence["ProbeResult"]) -> list[list[str]]:
    """Return in which settings each differs from others of its question, model and classifier, else by which key."""
    from embedkit.probing import questions

    names = [
        (*asked, result.model, result.classifier) for asked, result in zip(questions(results), results, strict=True)
    ]
    found = []
    for name, result in zip(names, results, strict=True):
        alike = [other for its, other in zip(names, results, strict=True) if its == name]
        settings = [other.protocol["settings"] for other in alike]
        own = result.protocol["settings"].items()
        chosen = [f"{choice} {value}" for choice, value in own if any(other.get(choice) != value for other in settings)]
        keys = [f"key {result.key}"] if any(other.key != result.key for other in alike) else []
        found.append(chosen or keys)
    return found


def _row(result: "ProbeResult", protocol: str) -> list[Any]:
    return [
        result.data if result.test == result.data else f"{result.data} -> {result.test}",
        result.model,
        result.classifier,
        result.target,
        result.level,
        protocol,
        result.n_train,
        result.n_test,
        result.n_groups,
        interval(result.auc),
        _compared(result.comparison),
        *map(interval, (result.accuracy, result.balanced_accuracy, result.f1_macro)),
        _selected(result.selected),
    ]


def _compared(comparison: dict[str, Any]) -> str:
    if not comparison:
        return ""
    if comparison["best"]:
        return "best"
    if "why" in comparison:
        return "not comparable"
    if not comparison["n"]:
        return "no image in common"
    difference, p = comparison["difference"], comparison["p_adjusted"]
    # Of one group in common there is no interval, and of one class no difference either.
    if p is None or difference["low"] is None:
        return "-" if difference["value"] is None else f"{difference['value']:+.3f}"
    bounds = f"{difference['low']:+.3f} to {difference['high']:+.3f}"
    return f"{difference['value']:+.3f} ({bounds}) {'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}"


def _selected(selected: dict[str, Any]) -> str:
    parameter = selected.get("parameter")
    if not parameter:
        return ""
    chosen = selected[parameter] if isinstance(selected[parameter], list) else [selected[parameter]]
    least, most = min(chosen), max(chosen)
    return f"{parameter} = {least:.3g}" if least == most else f"{parameter} = {least:.3g} to {most:.3g}"


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


def _print_templates(results: Sequence["ProbeResult"]) -> None:
    names = ("auc", "accuracy", "ece")
    rows = []
    for result in results:
        wording = result.wording
        if not wording:
            continue
        who = [result.data, result.model]
        rows += [[*who, one["template"], *(interval(one[name]) for name in names)] for one in wording["templates"]]
        ensemble = (result.auc, result.accuracy, result.calibration["ece"])
        rows.append([*who, "all of them (ensemble)", *map(interval, ensemble)])
        spread = [wording["spread"][name] for name in names]
        rows.append(
            [*who, "spread over templates", *(f"{one['lowest']:.3f} to {one['highest']:.3f}" for one in spread)]
        )
    if rows:
        say("")
        columns = ("data", "model", "template", "AUC (95 %)", "accuracy", "ECE")
        print_table(columns, rows, title="How much hangs on the wording")


def _print_subgroups(results: Sequence["ProbeResult"]) -> None:
    rows, gaps = [], []
    for result in results:
        who = [result.data, result.model, result.classifier]
        for part in result.subgroups:
            numbers = [interval(part[name]) if part[name] else "too few" for name in ("auc", "sensitivity", "ece")]
            rows.append([*who, part["by"], part["value"], part["n"], part["groups"], *numbers])
        for gap in result.gaps:
            if gap["metric"] in ("auc", "sensitivity", "ece"):
                gaps.append([*who, gap["by"], gap["metric"], gap["high"], gap["low"], interval(gap["gap"])])
    if rows:
        say("")
        columns = ("data", "model", "classifier", "by", "value", "n", "groups", "AUC (95 %)", "sensitivity", "ECE")
        print_table(columns, rows, title="Subgroups")
    if gaps:
        say("")
        of_gaps = ("data", "model", "classifier", "by", "of", "highest", "lowest", "gap (95 %)")
        print_table(of_gaps, gaps, title="Largest gaps between subgroups")


def _print_learning_curves(results: Sequence["ProbeResult"]) -> None:
    units = {"fraction": "%", "shots": "shots"}
    rows = [
        [
            result.data,
            result.model,
            result.classifier,
            f"{point['amount']:g} {units[point['kind']]}",
            point["n_train"],
            interval(point["auc"]),
            "" if point["deviation"] is None else f"{point['deviation']:.3f}",
        ]
        for result in results
        for point in result.learning_curve.get("points", [])
    ]
    if rows:
        say("")
        columns = ("data", "model", "classifier", "learnt from", "images", "AUC (95 %)", "deviation of draws")
        print_table(columns, rows, title="Learning curve")


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


def _print_notes(results: Sequence["ProbeResult"]) -> None:
    apart = [
        f"{name} (AUC {interval(result.auc)}) is not compared with the best: {result.comparison['why']}"
        for name, result in zip(_names(results), results, strict=True)
        if "why" in result.comparison
    ]
    for text in dict.fromkeys([*apart, *(note for result in results for note in result.notes)]):
        say(f"note: {text}")
