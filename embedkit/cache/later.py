"""A table that is read when it is first asked for: of a large cache, its texts take most of the time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Later:
    """A table that is not read yet.

    Attributes:
        rows: how many it has. read: reads it; whenever that is, the same table.
    """

    rows: int
    read: "Callable[[], pd.DataFrame]"

    def __len__(self) -> int:
        return self.rows

    def __reduce__(self) -> tuple[Any, ...]:
        # What is open here is not open where a pickle is read.
        return _itself, (self.read(),)


def _itself(table: "pd.DataFrame") -> "pd.DataFrame":
    return table


class TableField:
    """The attribute of a dataclass that is set to a table, or to one that is read later, and is a table when got."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, one: None, owner: type) -> "TableField": ...
    @overload
    def __get__(self, one: object, owner: type) -> "pd.DataFrame": ...
    def __get__(self, one: object | None, owner: type) -> "TableField | pd.DataFrame":
        if one is None:
            # So a dataclass sees that there is no default.
            raise AttributeError(self.name)
        held: Later | pd.DataFrame = vars(one)[self.name]
        if isinstance(held, Later):
            # Two threads that ask at once read it twice, which a lock that is held during a fork would be worse than.
            vars(one)[self.name] = held = held.read()
        return held

    def __set__(self, one: object, value: "pd.DataFrame | Later") -> None:
        vars(one)[self.name] = value
