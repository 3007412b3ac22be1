"""Text tables as people write them: comma, semicolon or tab, UTF-8, UTF-16 or Latin-1, every cell as written."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedkit.datasets.errors import DatasetNotFound
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import pandas as pd


class MissingColumn(EmbedkitError):
    """A table lacks a column; `names` are those that it has."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d*)?([eE][+-]?\d{1,2})?")
_NOT_A_NUMBER = frozenset({"", "NA", "N/A", "NaN", "nan"})


@dataclass(frozen=True)
class Dialect:
    """What is particular to a table of cells: its separator where it can't be told from the header, and its names.

    Attributes:
        delimiter: of cells, one or more characters; empty for comma, semicolon or tab, whichever the header shows.
        header: the names of the columns where the file has none; the last takes all further cells of a row.
        rename: a name in the file -> what it is called here.
    """

    delimiter: str = ""
    header: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)


_PLAIN = Dialect()
_FEW = 1000


def read_rows(path: Path, required: Sequence[str], dialect: Dialect = _PLAIN) -> "pd.DataFrame":
    """Read a table as text; one that is compressed by gzip too.

    Returns:
        One column per named column of the file, every cell the str that is written there (``""`` where it is
        empty); the index is the line at which the row starts.

    Raises:
        EmbedkitError: the file is absent, empty, no text, malformed, or lacks a required column.
    """
    import pandas as pd

    header, records = _header_and_records(path, required, dialect)
    lines, rows = zip(*records, strict=True)
    table = pd.DataFrame(list(rows), columns=header, index=list(lines), dtype=object)
    # Without a name a column is the row number that a program wrote, not the user's.
    return table[[name for name in header if name]]


def read_cells(path: Path, names: Sequence[str]) -> list[str]:
    """Return the cells of some columns of a table, row by row, as `read_rows` does.

    Raises:
        EmbedkitError: as `read_rows`.
    """
    header, records = _header_and_records(path, names)
    places = [header.index(name) for name in names]
    return [cells[place] for _, cells in records for place in places]


def _header_and_records(
    path: Path, required: Sequence[str], dialect: Dialect = _PLAIN
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = read_text(path)
    records = list(_shared(_split_at(text, dialect.delimiter) if dialect.delimiter else _records(path, text)))
    if not records:
        raise EmbedkitError(f"{path} is empty: it needs a header with {_listing(required)}, then one row per image.")
    if dialect.header:
        records = [(0, list(dialect.header)), *((line, _fitted(cells, dialect)) for line, cells in records)]
    header = [dialect.rename.get(name.strip(), name.strip()) for name in records[0][1]]
    _check_header(path, header, required)
    for line, cells in records:
        if len(cells) != len(header):
            raise EmbedkitError(
                f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}. "
                "A cell that holds the separator needs double quotes around it."
            )
    if len(records) == 1:
        raise EmbedkitError(f"{path} has a header and no rows: add one row per image.")
    return header, records[1:]


def _shared(records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the records with one str for all equal cells of a column, as long as it has few different ones."""
    known: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for line, cells in records:
        for place, cell in enumerate(cells):
            column = known[place]
            cells[place] = column.setdefault(cell, cell) if len(column) < _FEW else column.get(cell, cell)
        yield line, cells


def _fitted(cells: list[str], dialect: Dialect) -> list[str]:
    last = len(dialect.header) - 1
    padded = [*cells, *[""] * (last + 1 - len(cells))]
    return [cell.strip() for cell in (*padded[:last], " ".join(padded[last:]))]


def _split_at(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that hold the delimiter; what a line has outside its first and last one is no cell."""
    for line, written in enumerate(text.splitlines(), start=1):
        if delimiter in written:
            yield line, [cell.strip() for cell in written.strip().strip(delimiter).split(delimiter)]


def as_text(cells: "pd.Series") -> "pd.Series":
    """Return cells exactly as written; only an empty one is missing ("NA" and "None" are legal names)."""
    return cells.where(cells != "", np.nan)


def typed(cells: "pd.Series") -> "pd.Series":
    """Return a metadata column as numbers where every cell is one (or missing), else as text.

    A column with a number such as ``007``, or with one too long for a float, is text: it names something. So is one in
    which two texts would become one number (the visits ``1.1`` and ``1.10``): what is told apart there stays so.
    """
    if all(_INTEGER.fullmatch(cell) for cell in cells):
        return cells.astype("int64")
    given = set(cells) - _NOT_A_NUMBER
    if not given or not all(_NUMBER.fullmatch(cell) for cell in given):
        return as_text(cells)
    missing = cells.isin(_NOT_A_NUMBER)
    if len(set(map(float, given))) < len(given):
        return as_text(cells.mask(missing, ""))
    return cells.mask(missing, "nan").astype("float64")


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or Latin-1, without a byte order mark.

    Raises:
        EmbedkitError: the file can't be read, or is not text.
    """
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise EmbedkitError(f"{path} is a folder, not a table. For a folder of images write folder:{path}.") from error
    except FileNotFoundError as error:
        raise DatasetNotFound(f"there is no file {path}: check the path.") from error
    except OSError as error:
        raise EmbedkitError(f"can't read {path}: {error.strerror}. Check the path and its permissions.") from error
    if data.startswith(b"\x1f\x8b"):
        data = _unzipped(path, data)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and b"\0" in data:
        raise EmbedkitError(f"{path} is not a text file (a spreadsheet?): save it as CSV, UTF-8.")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        # Every byte is a letter of Latin-1, so this can't fail; it is what older spreadsheets write.
        return data.decode("latin-1")


def _unzipped(path: Path, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise EmbedkitError(f"{path} is a damaged gzip file ({error}): download it again.") from error


def _delimiter(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line at which a record starts, and its cells; blank lines are no records."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise EmbedkitError(f"{path}, line {line}: {error}. Check the quotes there.") from error


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    names = [name for name in header if name]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EmbedkitError(f"{path} has the column {_listing(twice)} twice: rename one.")
    for name in required:
        if name not in names:
            folded = {other.lower(): other for other in names}
            close = get_close_matches(name, folded, n=1, cutoff=0.5)
            hint = f" Is '{folded[close[0]]}' meant? Then rename it." if close else ""
            raise MissingColumn(f"{path} has no column '{name}': its columns are {_listing(names)}.{hint}", names)


def _listing(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
