"""What a probe and a trained network cost, side by side, and what the difference bought."""

from typing import Any

from embedkit.cli.console import interval, print_table, say


def print_exchange(found: dict[str, Any]) -> None:
    """Print what `embedkit.baselines.exchange` returned."""
    sides = {f"{side['model']}, {side['classifier']}": side for side in (found["probe"], found["trained"])}
    print_costs({name: side["cost"] for name, side in sides.items()}, found["ratios"])
    for name, side in sides.items():
        say(f"{name}: AUC {interval(side['auc'])}")
    difference = found["auc_difference"]
    p = "" if difference["p"] is None else f", p = {difference['p']:.2g} ({difference['p_method']})"
    say(f"difference of the AUCs on the {found['n']} images that both judged: {interval(difference)}{p}")
    for text in found["notes"]:
        say(f"note: {text}")


def print_costs(costs: dict[str, dict[str, Any]], ratios: dict[str, float | None] | None = None) -> None:
    """Print the costs by name, and how many times the second is the first."""
    columns = ("", "wall s", "processor s", "peak memory MB", "multiply-adds", "energy kWh")
    rows = [
        [
            name,
            f"{cost['wall_seconds']:.1f}",
            f"{cost['processor_seconds']:.1f}",
            _or_dash(cost["peak_memory_bytes"], lambda value: f"{value / 2**20:.0f}"),
            _or_dash(cost["multiply_adds"], "{:.2e}".format),
            _or_dash(cost["energy_kwh"], "{:.4f}".format),
        ]
        for name, cost in costs.items()
    ]
    if ratios is not None:
        names = ("wall_seconds", "processor_seconds", None, "multiply_adds", "energy_kwh")
        times = [_or_dash(ratios[name] if name else None, "{:.2g} times".format) for name in names]
        rows.append(["trained / probe", *times])
    print_table(columns, rows, title="Cost")


def _or_dash(value: Any, form: Any) -> str:
    return "-" if value is None else form(value)
