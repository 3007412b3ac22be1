"""What a run did, or how it was stopped."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import pandas as pd


class Interrupted(EmbedkitError):
    """The user stopped the run; what was done is kept."""


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        path: the cache file. total: images of the set. embedded: vectors computed now.
        reused: images whose vector existed. seconds: wall time.
        engine: what has computed vectors now, empty if nothing.
        int8: what `Appraisal` has measured of int8 on this set, None for another precision.
        ledger: a row for each image that failed: ``id``, ``path``, ``reason``, ``message``.
    """

    path: Path
    data: str
    model: str
    key: str
    total: int
    embedded: int
    reused: int
    seconds: float
    engine: str = ""
    ledger: list[dict[Hashable, Any]] = field(default_factory=list)
    int8: dict[str, Any] | None = None

    @property
    def failed(self) -> "pd.DataFrame":
        """The ledger as a table."""
        import pandas as pd

        return pd.DataFrame(self.ledger, columns=["id", "path", "reason", "message"], dtype=object)
