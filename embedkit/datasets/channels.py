"""Columns of a table that name the files of one image: ``path``, or ``path_NAME`` for each of its channels."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from embedkit.datasets.tabular import MissingColumn
from embedkit.errors import EmbedkitError

PREFIX = "path_"
_FEWEST, _MOST = 2, 3

_T = TypeVar("_T")


def channel_columns(names: Sequence[str], file: Path) -> list[str]:
    """Return the columns that name the channels of an image, in their order: none where ``path`` names the image.

    One column alone is none: its name is that of a table whose ``path`` is missing.

    Raises:
        EmbedkitError: there are more than an image has channels.
    """
    found = [name for name in names if name.startswith(PREFIX) and name != PREFIX]
    if "path" in names or len(found) < _FEWEST:
        return []
    if len(found) > _MOST:
        raise EmbedkitError(
            f"{file} has {len(found)} columns of paths ({', '.join(found)}), and an image has {_MOST} channels: rename "
            "those that are none, or name the image itself in a column 'path'."
        )
    return found


def with_paths(file: Path, read: Callable[[Sequence[str]], _T]) -> _T:
    """Return what is read of a table that must have the column ``path``, or else those of the channels.

    Args:
        read: takes the columns that the table must have.

    Raises:
        MissingColumn: it has neither.
    """
    try:
        return read(("path",))
    except MissingColumn as error:
        columns = channel_columns(error.names, file)
        if not columns:
            raise
        return read(columns)
