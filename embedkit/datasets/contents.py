"""Contents: what a reader found in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.datasets.card import DatasetCard

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Contents:
    """The table of an `ImageSet` whose paths are relative to the folder that was read, and what else is known.

    Attributes:
        targets: where the card can't tell them, as in `ImageSet`.
        facts: what the reader saw, beside the facts of the card.
    """

    table: "pd.DataFrame"
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def without_empty(table: "pd.DataFrame", *names: str) -> "pd.DataFrame":
    """Return a table without those of these columns that hold nothing."""
    return table.drop(columns=[name for name in names if name in table and not table[name].notna().any()])


Reader = Callable[[DatasetCard, Path], Contents]
