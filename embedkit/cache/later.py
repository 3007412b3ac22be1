"""What is read when it is first asked for: of a large cache, its texts take most of the time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    import pandas as pd

_Value = TypeVar("_Value")


class Late(ABC, Generic[_Value]):
    """A value that is not there yet."""

    @abstractmethod
    def now(self) -> _Value:
        """Return the value; whenever that is, the same."""


@dataclass(frozen=True)
class Later(Late["pd.DataFrame"]):
    """A table that is not read yet.

    Attributes:
        rows: how many it has. read: reads it; whenever that is, the same table.
    """

    rows: int
    read: "Callable[[], pd.DataFrame]"

    def __len__(self) -> int:
        return self.rows

    def now(self) -> "pd.DataFrame":
        """As in `Late`."""
        return self.read()

    def __reduce__(self) -> tuple[Any, ...]:
        # What is open here is not open where a pickle is read.
        return _itself, (self.read(),)


def _itself(table: "pd.DataFrame") -> "pd.DataFrame":
    return table


class LateField(Generic[_Value]):
    """The attribute of a dataclass that is set to a value, or to one that is there later, and is a value when got."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, one: None, owner: type) -> "LateField[_Value]": ...
    @overload
    def __get__(self, one: object, owner: type) -> _Value: ...
    def __get__(self, one: object | None, owner: type) -> "LateField[_Value] | _Value":
        if one is None:
            # So a dataclass sees that there is no default.
            raise AttributeError(self.name)
        held: Late[_Value] | _Value = vars(one)[self.name]
        if isinstance(held, Late):
            # Two threads that ask at once read it twice, which a lock that is held during a fork would be worse than.
            vars(one)[self.name] = held = held.now()
        return held

    def __set__(self, one: object, value: "_Value | Late[_Value]") -> None:
        vars(one)[self.name] = value
