"""A table as a file for a paper: CSV, Markdown or LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from embedkit.errors import EmbedkitError

Rows = Sequence[Sequence[Any]]

# A backslash of the cell's own would take the place of the one that keeps a bar from being a border.
_MARKDOWN = str.maketrans({"\\": r"\\", "|": r"\|", "\r": " ", "\n": " "})

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
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
    lines = ["| " + " | ".join(cell.translate(_MARKDOWN) for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]) + "\n"


def _latex(cells: list[list[str]]) -> str:
    lines = [" & ".join(map(_latex_cell, row)) + r" \\" for row in cells]
    head = [f"\\begin{{tabular}}{{{'l' * len(cells[0])}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*head, *lines[1:], r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_cell(cell: str) -> str:
    text = "".join(_LATEX.get(sign, sign) for sign in cell)
    # A bracket or a star at the start of a row would be an argument of the end of the row before.
    return f"{{}}{text}" if text.lstrip().startswith(("[", "*")) else text


_WRITERS: dict[str, Callable[[list[list[str]]], str]] = {".csv": _csv, ".md": _markdown, ".tex": _latex}
