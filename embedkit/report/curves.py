"""Figures of one probe: what more labels buy, whether probabilities come true, and whether acting on them helps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.report.style import GREY, MARKERS, OKABE_ITO, drawing, legend, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNITS = {"fraction": "training groups (%)", "shots": "images per class"}


def learning_curve_figure(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, title: str, footnote: str = ""
) -> None:
    """Draw AUC over the amount that was learnt from, with its 95 % interval, into a PNG or SVG file.

    Args:
        curves: name in the legend -> points of one ``kind``, each with ``amount`` and ``auc`` (value, low, high), as
            `embedkit.probing.learning_curve` gives them.
        path: the file; its suffix, .png or .svg, says which kind. title, footnote: above and below.

    Raises:
        EmbedkitError: no point, points of several kinds, or a file that cannot be written.
    """
    kinds = {str(point["kind"]) for points in curves.values() for point in points}
    if len(kinds) != 1:
        raise EmbedkitError(f"a learning curve has points of one kind, fraction or shots, not of {sorted(kinds)}")
    [kind] = kinds
    labels = [wrap(name, 62) for name in curves]
    with drawing(path, title, footnote, keys=len("\n".join(labels).splitlines())) as axes:
        lines = []
        for number, (label, points) in enumerate(zip(labels, curves.values(), strict=True)):
            known = sorted((p for p in points if p["auc"]["value"] is not None), key=lambda point: point["amount"])
            x, y = [p["amount"] for p in known], [p["auc"]["value"] for p in known]
            colour = OKABE_ITO[number % len(OKABE_ITO)]
            lines += axes.plot(x, y, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4, label=label)
            _band(axes, x, [p["auc"]["low"] for p in known], [p["auc"]["high"] for p in known], colour)
        ticks = sorted({point["amount"] for points in curves.values() for point in points})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set(xlabel=_UNITS[kind], ylabel="AUC")
        legend(axes, lines)


def reliability_figure(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, title: str, footnote: str = ""
) -> None:
    """Draw how often a probability came true, with the interval of each bin, into a PNG or SVG file.

    Args:
        curves: name in the legend -> bins, as `embedkit.probing.measures.calibration.reliability` gives them.
        path, title, footnote: as in `learning_curve_figure`.

    Raises:
        EmbedkitError: a file that cannot be written.
    """
    with drawing(path, title, footnote, keys=len(curves)) as axes:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
        bars = []
        for number, (name, bins) in enumerate(curves.items()):
            x, y = [one["probability"] for one in bins], [one["share"] for one in bins]
            below = [one["share"] - one["low"] for one in bins]
            above = [one["high"] - one["share"] for one in bins]
            bars.append(
                axes.errorbar(
                    x,
                    y,
                    yerr=(below, above),
                    color=OKABE_ITO[number % len(OKABE_ITO)],
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=4,
                    linewidth=1.2,
                    elinewidth=0.8,
                    label=name,
                )
            )
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="probability", ylabel="share in which it came true")
        legend(axes, [bar.lines[0] for bar in bars], labels=list(curves))


def decision_curve_figure(curve: Mapping[str, Any], path: Path, title: str, footnote: str = "") -> None:
    """Draw the net benefit of acting on a classifier, on everybody and on nobody, into a PNG or SVG file.

    Source: Vickers and Elkin, Med. Decis. Making 26 (2006).

    Args:
        curve: one entry of ``decision_curve`` of a `ProbeResult`. path, title, footnote: as in `learning_curve_figure`.

    Raises:
        EmbedkitError: a file that cannot be written.
    """
    with drawing(path, title, footnote, keys=3) as axes:
        at = curve["threshold"]
        lines = axes.plot(at, curve["model"], color=OKABE_ITO[0], linewidth=1.6, label=f"act on '{curve['label']}'")
        _band(axes, at, curve["low"], curve["high"], OKABE_ITO[0])
        lines += axes.plot(at, curve["treat_all"], color=OKABE_ITO[1], linestyle="--", label="act on everybody")
        lines += axes.plot(at, [0] * len(at), color=GREY, linestyle=":", label="act on nobody")
        best = max(*curve["model"], *curve["treat_all"], 0.01)
        axes.set(xlim=(0, 1), ylim=(-0.25 * best, 1.15 * best))
        axes.set(xlabel="threshold probability", ylabel="net benefit")
        legend(axes, lines)


def _band(
    axes: "Axes", x: Sequence[float], low: Sequence[float | None], high: Sequence[float | None], colour: str
) -> None:
    """Shade intervals; where a point has none, as of images of one patient, there is a gap."""
    axes.fill_between(x, np.array(low, float), np.array(high, float), color=colour, alpha=0.15)
