"""The bytes of an image in a column of a Parquet or Arrow file, as Hugging Face's ``datasets`` stores them.

pyarrow reads them: it is the extra ``embedkit[hf]``, imported only when a file needs it. An Arrow file is mapped, a
Parquet file read a row group at a time, so rows are best asked for in order.
"""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.images.errors import DamagedImage, EmptyFile, NoSuchPart, UnsupportedImage, reason_of
from embedkit.images.files import Stamp, look, reading

if TYPE_CHECKING:
    import pyarrow as pa

INSTALL = "pip install 'embedkit[hf]'"
_PARQUET = b"PAR1"
_ARROW_FILE = b"ARROW1"
_ARROW_STREAM = b"\xff\xff\xff\xff"
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"

# A row group is kept for the next row; threads in step share it instead of each reading their own.
_one_at_a_time = threading.Lock()


def is_columnar(path: str) -> bool:
    """Whether a file is of Parquet or Arrow, by its first bytes.

    Raises:
        MissingFile, UnreadableFile: it cannot be read.
    """
    look(path)
    with reading(path), Path(path).open("rb") as stream:
        return stream.read(6).startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM))


def read_cell(path: str, column: str, row: int, name: str) -> bytes:
    """Return the bytes of the image in one row of a column.

    Args:
        path: the file.
        column: of bytes, or of structures with the bytes in their field ``bytes``.
        row: 0-based. name: what errors call it.

    Raises:
        NoSuchPart: no such column or row, or no bytes in it.
        UnsupportedImage: a column of something else; pyarrow is missing.
        DamagedImage: the file cannot be read.
    """
    stamp = look(path)
    if stamp[1] == 0:
        raise EmptyFile(f"{name}: the file has no bytes. Copy it again.")
    require_pyarrow(name)
    with _one_at_a_time:
        try:
            # A forked process must not share an open file with its parent.
            whole = opened(path, stamp, os.getpid())
            cell = _cell(whole, column, row, name)
        except damage() as error:
            opened.cache_clear()
            raise DamagedImage(f"{name}: the file cannot be read ({reason_of(error)}). Copy it again.") from error
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if data is None:
        beside = isinstance(cell, dict) and cell.get("path")
        how = f"only the path {cell['path']}: save the set with its images in it" if beside else "nothing: remove it"
        raise NoSuchPart(f"{name}: the row holds no bytes of an image, {how}.")
    if not isinstance(data, bytes):
        raise UnsupportedImage(f"{name}: the column '{column}' holds no bytes of images, but {type(data).__name__}.")
    if not data:
        raise EmptyFile(f"{name}: the row has no bytes. Save the set again.")
    return data


class Columnar:
    """An open Parquet or Arrow file: its schema, how many rows it has, and its columns."""

    def __init__(self, path: str) -> None:
        with reading(path), Path(path).open("rb") as stream:
            head = stream.read(6)
        self._parquet: Any = None
        self._table: Any = None
        if head.startswith(_PARQUET):
            from pyarrow import parquet

            self._parquet = parquet.ParquetFile(path)
            self.schema: pa.Schema = self._parquet.schema_arrow
            groups = range(self._parquet.num_row_groups)
            self._lengths = [self._parquet.metadata.row_group(group).num_rows for group in groups]
        else:
            self._table = _mapped(path, head)
            self.schema, self._lengths = self._table.schema, [self._table.num_rows]
        self.rows = sum(self._lengths)
        self._held: tuple[tuple[int, str], Any] | None = None

    def columns(self, names: list[str]) -> "pa.Table":
        """Return whole columns."""
        return self._table.select(names) if self._parquet is None else self._parquet.read(columns=names)

    def field(self, column: str, name: str) -> "pa.ChunkedArray":
        """Return one field of a column of structures, without the others."""
        import pyarrow.compute as pc

        if self._parquet is None:
            return pc.struct_field(self._table[column], name)
        return pc.struct_field(self._parquet.read(columns=[f"{column}.{name}"])[column], name)

    def cell(self, column: str, row: int) -> Any:
        """Return one cell in Python's types, of a row that exists."""
        group, first = 0, 0
        while row >= first + self._lengths[group]:
            first += self._lengths[group]
            group += 1
        if self._held is None or self._held[0] != (group, column):
            self._held = None
            whole = self._table if self._parquet is None else self._parquet.read_row_group(group, columns=[column])
            self._held = ((group, column), whole[column])
        return self._held[1][row - first].as_py()


@lru_cache(maxsize=2)
def opened(path: str, stamp: Stamp, process: int) -> Columnar:
    """Return an open file. Its stamp and process are in the key, so that neither a new file nor a fork meets it."""
    return Columnar(path)


def require_pyarrow(name: object) -> None:
    """Refuse a Parquet or Arrow file where nothing can read it.

    Raises:
        UnsupportedImage: pyarrow is missing.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UnsupportedImage(f"{name}: reading Parquet and Arrow needs pyarrow. Install it: {INSTALL}") from error


def _mapped(path: str, head: bytes) -> "pa.Table":
    import pyarrow as pa

    source = pa.memory_map(path)
    if head.startswith(_ARROW_FILE):
        table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        return table
    table = pa.ipc.open_stream(source).read_all()
    # An offset that leads out of the file would end the process. This reads the offsets, not the images.
    table.validate(full=True)
    # pyarrow takes a stream that is cut between two batches for a whole one.
    source.seek(source.size() - len(_STREAM_END))
    if source.read() != _STREAM_END:
        raise pa.ArrowInvalid("it ends before the end of its stream")
    return table


def _cell(whole: Columnar, column: str, row: int, name: str) -> Any:
    if column not in whole.schema.names:
        raise NoSuchPart(f"{name}: it has no column '{column}'. It has: {', '.join(whole.schema.names)}.")
    if row >= whole.rows:
        raise NoSuchPart(f"{name}: there is no row {row}. The file has {whole.rows} rows, counted from 0.")
    return whole.cell(column, row)


def damage() -> tuple[type[Exception], ...]:
    """Return what pyarrow raises on damaged files."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError, EOFError)
