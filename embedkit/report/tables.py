"""A table as a file for a paper: CSV, Markdown or LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from embedkit.errors import EmbedkitError

Rows = Sequence[Sequence[Any]]

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def write_table(columns: Sequence[str], rows: Rows, path: Path) -> None:
    """Write a table as ``.csv``, ``.md`` or ``.tex`` (a tabular for the package booktabs), by the suffix of the file.

    Args:
        columns: c headings. rows: of c cells each; None is an empty cell.

    Raises:
        EmbedkitError: another suffix, or a file that can't be written.
    """
    check_table(path)
    cells = [["" if cell is None else str(cell) for cell in row] for row in (columns, *rows)]
    text = _WRITERS[path.suffix](cells)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise EmbedkitError(f"the table can't be written to {path} ({error.strerror}): choose another place") from error


def check_table(path: Path) -> None:
    """Refuse a file whose suffix is none of a table.

    Raises:
        EmbedkitError: with those that are.
    """
    if path.suffix not in _WRITERS:
        raise EmbedkitError(f"no table as '{path.suffix}': give {path} one of the endings {', '.join(_WRITERS)}")


def _csv(cells: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(cells)
    return file.getvalue()


def _markdown(cells: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]) + "\n"


def _latex(cells: list[list[str]]) -> str:
    lines = [" & ".join("".join(_LATEX.get(sign, sign) for sign in cell) for cell in row) + r" \\" for row in cells]
    head = [f"\\begin{{tabular}}{{{'l' * len(cells[0])}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*head, *lines[1:], r"\bottomrule", r"\end{tabular}"]) + "\n"


_WRITERS: dict[str, Callable[[list[list[str]]], str]] = {".csv": _csv, ".md": _markdown, ".tex": _latex}
