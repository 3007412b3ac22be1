"""How every figure looks and is written: sheet, palette, legend keys, and the file."""

import importlib
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

OKABE_ITO: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, Color Universal Design (2008), without their yellow, which is too faint on paper."""

MARKERS: Final = ("o", "^", "s", "D", "v", "P", "X")
GREY: Final = "#767676"

_WIDTH, _BOX, _LEFT, _TO_LEGEND = 4.6, 3.85, 0.6, 0.55
"""Inches: the figure, the square that holds the data, what is left of it, and from it down to the legend."""

_RC: Final[dict[str, object]] = {
    "font.size": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "embedkit",
}


def need(module: str) -> ModuleType:
    """Import a drawing library.

    Raises:
        EmbedkitError: it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EmbedkitError(
            f"figures need {module.partition('.')[0]}, which cannot be imported ({error}): "
            "pip install 'embedkit[plots]'"
        ) from error


@contextmanager
def drawing(path: Path, title: str, footnote: str, keys: int) -> Iterator["Axes"]:
    """Open axes one column of a paper wide, with room for `keys` lines of legend; on leaving, write the file.

    The same figure gives the same bytes, and a figure that fails leaves no file.

    Raises:
        EmbedkitError: the suffix of `path` is neither .png nor .svg, matplotlib is not installed, or the file
            cannot be written.
    """
    metadata: dict[str, dict[str, str | None]] = {".png": {"Software": None}, ".svg": {"Date": None}}
    kind = path.suffix.lower()
    if kind not in metadata:
        raise EmbedkitError(f"cannot draw {path}: a figure is .png or .svg, so give the file one of these endings")
    title, footnote = wrap(title, 52), wrap(footnote, 76)
    above = 0.2 + 0.17 * len(title.splitlines())
    below = _TO_LEGEND + 0.17 * keys + 0.14 * len(footnote.splitlines()) + 0.12
    height = above + _BOX + below
    drawn = BytesIO()
    with need("matplotlib").rc_context(_RC):
        figure: Figure = need("matplotlib.figure").Figure(figsize=(_WIDTH, height))
        yield figure.add_axes((_LEFT / _WIDTH, below / height, _BOX / _WIDTH, _BOX / height))
        figure.text(0.1 / _WIDTH, 1 - 0.08 / height, title, va="top", fontsize=10)
        figure.text(0.1 / _WIDTH, 0.08 / height, footnote, va="bottom", fontsize=7, color=GREY)
        figure.savefig(drawn, format=kind[1:], dpi=200, metadata=metadata[kind])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn.getvalue())
    except OSError as error:
        raise EmbedkitError(f"cannot write {path}: {error}; give a place that can be written") from error


def legend(axes: "Axes", handles: "Sequence[Artist]", side: str = "left", labels: Sequence[str] | None = None) -> None:
    """Put a legend below the axes, where it hides no data, at the left or the right; the handles' own labels serve."""
    x, y = {"left": 0.0, "right": 1.0}[side], -_TO_LEGEND / _BOX
    axes.add_artist(
        need("matplotlib.legend").Legend(
            axes,
            handles,
            labels or [str(handle.get_label()) for handle in handles],
            loc=f"upper {side}",
            bbox_to_anchor=(x, y + 0.02),
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.35,
        )
    )


def wrap(text: str, width: int) -> str:
    """Return the text in lines of at most `width` characters; names with hyphens stay whole."""
    return textwrap.fill(text, width, break_on_hyphens=False)


def short(value: float) -> str:
    """Return a proportion as papers print it: .91, and 1.00."""
    return f"{value:.2f}".removeprefix("0")


def fold(values: Sequence[str], most: int) -> list[str]:
    """Return the values with all but the `most - 1` commonest called others, where there are more than `most`."""
    count = Counter(values)
    if len(count) <= most:
        return list(values)
    kept = {value for value, _ in count.most_common(most - 1)}
    others = f"{len(count) - len(kept)} others"
    return [value if value in kept else others for value in values]


def assign(values: Iterable[str], signs: Sequence[str]) -> dict[str, str]:
    """Return value -> sign, in the order in which the values first appear."""
    return dict(zip(dict.fromkeys(values), signs, strict=False))


def key(name: str, colour: str, marker: str) -> "Line2D":
    """Return one point for a legend."""
    line: Line2D = need("matplotlib.lines").Line2D(
        [], [], linestyle="", marker=marker, color=colour, markersize=5, label=name
    )
    return line
