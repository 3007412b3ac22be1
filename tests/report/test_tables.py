"""The same table as CSV, Markdown and LaTeX, whatever stands in its cells."""

import csv
from pathlib import Path

import pytest

from embedkit.errors import EmbedkitError
from embedkit.report import write_table

COLUMNS = ("data", "AUC (95 %)")
ROWS = [("ham_10 & co", "0.9 | 0.8"), ('a "b", c', None), ("\\x^2~", "{1}#$")]


def test_csv_is_read_back(tmp_path: Path) -> None:
    write_table(COLUMNS, ROWS, tmp_path / "new" / "t.csv")
    with (tmp_path / "new" / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [list(COLUMNS), *[["" if c is None else c for c in row] for row in ROWS]]


def test_markdown_escapes_its_bars(tmp_path: Path) -> None:
    write_table(COLUMNS, ROWS, tmp_path / "t.md")
    lines = (tmp_path / "t.md").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["| data | AUC (95 %) |", "|---|---|", "| ham_10 & co | 0.9 \\| 0.8 |"]
    assert len(lines) == 5


def test_markdown_is_read_back(tmp_path: Path) -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    rows = [("a\\|b", "\\"), ("|\\\\|", "c\rd\r\ne\nf"), ("\\\\\\|x", "last\\")]
    write_table(COLUMNS, rows, tmp_path / "t.md")
    tokens = markdown.parse((tmp_path / "t.md").read_bytes().decode())
    cells = ["".join(child.content for child in one.children) for one in tokens if one.type == "inline"]
    assert cells == [*COLUMNS, "a\\|b", "\\", "|\\\\|", "c d  e f", "\\\\\\|x", "last\\"]


def test_latex_escapes_what_means_something_there(tmp_path: Path) -> None:
    write_table(COLUMNS, ROWS, tmp_path / "t.tex")
    lines = (tmp_path / "t.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"\begin{tabular}{ll}"
    assert lines[2] == r"data & AUC (95 \%) \\"
    assert lines[4] == r"ham\_10 \& co & 0.9 | 0.8 \\"
    assert lines[6] == r"\textbackslash{}x\textasciicircum{}2\textasciitilde{} & \{1\}\#\$ \\"
    assert lines[-1] == r"\end{tabular}"


def test_latex_takes_no_cell_for_an_argument_and_no_sign_for_another(tmp_path: Path) -> None:
    write_table(COLUMNS, [("[2cm] a", "p < 0.001"), (" *", "a > b [c]")], tmp_path / "t.tex")
    lines = (tmp_path / "t.tex").read_text(encoding="utf-8").splitlines()
    assert lines[4] == r"{}[2cm] a & p \textless{} 0.001 \\"
    assert lines[5] == r"{} * & a \textgreater{} b [c] \\"


def test_another_ending_and_a_closed_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        EmbedkitError, match=r"no table as '\.xlsx': give .*t\.xlsx one of the endings \.csv, \.md, \.tex"
    ):
        write_table(COLUMNS, ROWS, tmp_path / "t.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbedkitError, match="can't be written"):
        write_table(COLUMNS, ROWS, tmp_path / "file" / "t.csv")
