from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.datasets.tabular import as_text, read_rows, read_text, typed
from embedkit.errors import EmbedkitError
from tests.datasets.making import write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_reads_the_tables_that_programs_write(tmp_path: Path, separator: str, encoding: str, newline: str) -> None:
    lines = [("path", "label"), ("a.png", "nævus"), ("b.png", "01"), ("c.png", "")]
    path = write(tmp_path / "t.csv", newline.join(separator.join(line) for line in lines) + newline, encoding)
    rows = read_rows(path, ("path",))
    assert list(rows.columns) == ["path", "label"]
    assert rows["label"].tolist() == ["nævus", "01", ""]


def test_rows_carry_the_line_at_which_they_start(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'path,note\n\na.png,"two\nlines"\n\nb.png,x\n')
    rows = read_rows(path, ("path",))
    assert list(rows.index) == [3, 6]
    assert rows["note"].tolist() == ["two\nlines", "x"]


def test_a_nameless_column_is_a_row_number_and_is_left_out(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a", "b"]}).to_csv(tmp_path / "t.csv")
    assert list(read_rows(tmp_path / "t.csv", ("path",)).columns) == ["path"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: it needs a header with 'path'"),
        ("\n\n", "is empty"),
        ("path,label\n", "has a header and no rows"),
        ("file,label\na,b\n", "has no column 'path': its columns are 'file', 'label'"),
        ("Path,label\na,b\n", "Is 'Path' meant"),
        ("pathh\na\n", "Is 'pathh' meant"),
        ("path,x,x\na,1,2\n", "has the column 'x' twice"),
        ("path,label\na.png,b,c\n", "line 2: 3 cells where the header has 2"),
        ("path,label\nx,y\na.png\n", "line 3: 1 cells where the header has 2"),
        ('path,label\na.png,"open\nb.png,c\n', "line 2: .*Check the quotes"),
        ('path\n"a"b\n', "line 2: .*Check the quotes"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EmbedkitError, match=message) as caught:
        read_rows(write(tmp_path / "t.csv", text), ("path",))
    assert str(tmp_path / "t.csv") in str(caught.value)


def test_what_is_not_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    with pytest.raises(EmbedkitError, match=r"not a text file .*save it as CSV"):
        read_text(tmp_path / "t.xlsx")
    with pytest.raises(EmbedkitError, match=r"there is no file .*absent\.csv"):
        read_text(tmp_path / "absent.csv")
    with pytest.raises(EmbedkitError, match=r"is a folder, not a table.*folder:"):
        read_text(tmp_path)


def test_a_huge_cell_is_refused_without_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="line 2: field larger than field limit"):
        read_rows(write(tmp_path / "t.csv", "path\n" + "x" * 200_000), ("path",))


def cells(*values: str) -> pd.Series:
    return pd.Series(values, dtype=object)


def test_only_an_empty_cell_of_text_is_missing() -> None:
    read = as_text(cells("NA", "None", "null", "nan", "01", " ", ""))
    assert read.tolist()[:6] == ["NA", "None", "null", "nan", "01", " "]
    assert read.isna().tolist() == [False] * 6 + [True]
    assert read.dtype == object


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        (("1", "-2", "0"), "i", [1, -2, 0]),
        (("35.0", "", "40"), "f", [35.0, np.nan, 40.0]),
        (("1", "NA", "3"), "f", [1.0, np.nan, 3.0]),
        (("1e-3", "2.5"), "f", [0.001, 2.5]),
        (("999999999999999999",), "i", [999_999_999_999_999_999]),
    ],
)
def test_metadata_of_numbers_are_numbers(written: tuple[str, ...], kind: str, expected: list[float]) -> None:
    read = typed(cells(*written))
    assert read.dtype.kind == kind
    np.testing.assert_array_equal(read.to_numpy(), expected)


@pytest.mark.parametrize(
    "written",
    [
        ("007", "8"),
        ("1", "x"),
        ("9" * 19, "1"),
        ("9" * 16, ""),
        ("1.2.840", "3"),
        ("inf", "1"),
        ("\u0661", "2"),
        ("+1",),
        ("1.1", "1.10", "2"),
        ("1e5", "100000"),
        ("1", "1.0"),
        ("0", "-0"),
        ("0.1", "0.10000000000000001"),
    ],
)
def test_metadata_that_name_something_stay_text(written: tuple[str, ...]) -> None:
    assert typed(cells(*written)).fillna("").tolist() == list(written)


def test_what_is_missing_among_numbers_that_stay_text_is_missing() -> None:
    read = typed(cells("0.5", "NA", "0.50", ""))
    assert read.fillna("missing").tolist() == ["0.5", "missing", "0.50", "missing"]


def test_metadata_without_a_value_are_missing() -> None:
    assert typed(cells("", "")).isna().all()


def test_equal_cells_of_a_column_are_one_text_as_long_as_they_are_few(tmp_path: Path) -> None:
    lines = [f"scan {row}.png,hospital {row % 3}," + "x" * 40 for row in range(3000)]
    path = tmp_path / "t.csv"
    path.write_text("path,site,note\n" + "\n".join(lines))
    rows = read_rows(path, ("path",))
    assert [",".join(cells) for cells in rows.to_numpy().tolist()] == lines
    assert len({id(cell) for cell in rows["site"]}) == 3
    assert len({id(cell) for cell in rows["note"]}) == 1
