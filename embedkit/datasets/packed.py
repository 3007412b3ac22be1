"""Tables and texts in a fraction of the memory that pandas needs for them, while nobody looks at them.

A text of 16 letters is a Python object of 80 bytes with a pointer of 8 to it; here it is 16 bytes and an end of 4.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# A cell may hold half a surrogate pair, which has no bytes in UTF-8.
_CODING = ("utf-8", "surrogatepass")


class Lazy(Sequence[str], ABC):
    """Texts each of which is made when it is asked for."""

    @abstractmethod
    def one(self, row: int) -> str:
        """Return the text of a row from 0 to n - 1."""

    def some(self, rows: slice) -> list[str]:
        """Return the texts of a stretch of rows."""
        return [self.one(row) for row in range(*rows.indices(len(self)))]

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return self.some(row)
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self.one(row % len(self))


class Texts(Lazy):
    """Texts as one stretch of bytes."""

    def __init__(self, texts: Iterable[str]) -> None:
        whole, ends = bytearray(), [0]
        for text in texts:
            whole += text.encode(*_CODING)
            ends.append(len(whole))
        self._whole = bytes(whole)
        self._ends = np.array(ends, np.min_scalar_type(len(whole)))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def one(self, row: int) -> str:
        """As in `Lazy`."""
        return self._whole[self._ends[row] : self._ends[row + 1]].decode(*_CODING)

    def array(self) -> np.ndarray:
        """Return all as an array of objects."""
        array = np.empty(len(self), object)
        array[:] = list(self)
        return array


class PackedTable:
    """A table of which text takes the bytes of its letters, and repeated text a number.

    Columns that are neither text nor numbers are kept as they are.

    Args:
        table: with an index from 0 to n - 1. packed: what is packed already of its columns.
    """

    def __init__(self, table: "pd.DataFrame", packed: Mapping[str, Texts]) -> None:
        self._rows = len(table)
        # Paths are often ids too: they are packed once, and one str is both in the end.
        seen = [(table[name], texts) for name, texts in packed.items()]
        self._columns: dict[Any, Any] = {
            name: next((texts for other, texts in seen if values.equals(other)), None) or _packed(values)
            for name, values in table.items()
        }

    def __len__(self) -> int:
        return self._rows

    def table(self) -> "pd.DataFrame":
        """Return the table that was packed."""
        import pandas as pd

        arrays: dict[int, Any] = {}
        for packed in self._columns.values():
            if id(packed) not in arrays:
                arrays[id(packed)] = packed.array() if isinstance(packed, Texts | _Codes) else packed
        columns = {name: arrays[id(packed)] for name, packed in self._columns.items()}
        return pd.DataFrame(columns, index=pd.RangeIndex(self._rows), columns=list(columns))


class _Codes:
    """Text of which much is repeated, or some cells are missing: the number of each, -1 for NaN."""

    def __init__(self, codes: np.ndarray, texts: Iterable[str]) -> None:
        self._texts = Texts(texts)
        self._codes = codes.astype(np.min_scalar_type(-len(self._texts) - 1))

    def array(self) -> np.ndarray:
        """Return all as an array of objects."""
        texts: np.ndarray = np.append(self._texts.array(), np.nan)[self._codes]
        return texts


def _packed(values: "pd.Series") -> "Texts | _Codes | pd.Series":
    import pandas as pd

    if values.dtype != object or not all(type(cell) is str or (type(cell) is float and isnan(cell)) for cell in values):
        return values
    codes, texts = pd.factorize(values.to_numpy())
    if len(texts) > len(values) // 2 and (codes >= 0).all():
        return Texts(values)
    return _Codes(codes, texts)
