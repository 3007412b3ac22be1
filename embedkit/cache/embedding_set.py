"""EmbeddingSet: the second of the three values, vectors with the table of their images and their provenance."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from embedkit.cache.halves import Halves
from embedkit.cache.later import LateField
from embedkit.cache.mapped import take_rows
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import pandas as pd

# Columns of a table that are no labels.
_KEPT = ("id", "path", "digest", "group", "split")


def _no_failures() -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(columns=["id", "path", "reason", "message"])


@dataclass(frozen=True)
class EmbeddingSet:
    """Embeddings of one data set by one encoder.

    Attributes:
        X: the embeddings, float array of shape (n, d), as the encoder gave them (not normalised). Read from a cache
            file they can't be written to: ``X.copy()`` can. Of a file in half precision they are widened to float32
            when they are first asked for.
        table: n rows in the order of ``X``: ``id``, ``path``, ``digest``, and the columns of the `ImageSet`. Of a cache
            file it is read when it is first asked for, from the file that was opened: it raises DamagedCache where that
            is damaged.
        provenance: ``name`` of the data set, ``encoder``, ``key``, ``dataset`` (its ``targets`` and ``facts``),
            ``configuration`` (what the key was made of), ``version`` of embedkit that wrote it.
        failed: the images that have no vector: ``id``, ``path``, ``reason``, ``message``.
    """

    X: LateField[np.ndarray] = LateField()  # noqa: RUF009
    table: "LateField[pd.DataFrame]" = LateField()  # noqa: RUF009
    provenance: dict[str, Any] = field(default_factory=dict)
    failed: "pd.DataFrame" = field(default_factory=_no_failures)

    def __post_init__(self) -> None:
        # Not through the attribute: that would read it.
        rows, X = len(vars(self)["table"]), self.stored
        if X.ndim != 2 or len(X) != rows:
            raise EmbedkitError(
                f"X of shape {X.shape} does not fit a table of {rows} rows: X must be (n, d), "
                "one row per row of the table"
            )

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        return f"EmbeddingSet({self.name!r}, {self.encoder!r}, X {len(self)} x {self.stored.shape[1]})"

    @property
    def stored(self) -> np.ndarray:
        """X as it is held, (n, d): of a cache file in half precision float16, as long as nobody has asked for X."""
        held = vars(self)["X"]
        return held.stored if isinstance(held, Halves) else held

    @property
    def name(self) -> str:
        """The data set's name."""
        return str(self.provenance.get("name", "arrays"))

    @property
    def encoder(self) -> str:
        """The encoder's name."""
        return str(self.provenance.get("encoder", "arrays"))

    @property
    def key(self) -> str:
        """The key of the encoder's configuration."""
        return str(self.provenance.get("key", ""))

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """What can be predicted: name -> its columns; the first is the default."""
        return {k: tuple(v) for k, v in self.provenance.get("dataset", {}).get("targets", {}).items()}

    @property
    def facts(self) -> dict[str, Any]:
        """What else is known of the data set, such as the resolution of its images."""
        return dict(self.provenance.get("dataset", {}).get("facts", {}))

    def select(self, rows: np.ndarray) -> "EmbeddingSet":
        """Return the rows named by a boolean mask or by positions, in that order."""
        X = take_rows(self.stored, np.arange(len(self))[rows])
        held = Halves(X) if isinstance(vars(self)["X"], Halves) else X
        return replace(self, X=held, table=self.table.loc[rows].reset_index(drop=True))

    def split(self, name: str) -> "EmbeddingSet":
        """Return the rows of one split.

        Raises:
            EmbedkitError: there are no splits, or none of this name.
        """
        if "split" not in self.table:
            raise EmbedkitError(f"{self.name} has no published split: there is no column 'split' in its table")
        rows = (self.table["split"] == name).to_numpy()
        if not rows.any():
            have = ", ".join(map(str, self.table["split"].dropna().unique()))
            raise EmbedkitError(f"{self.name} has no split '{name}': it has {have}")
        return self.select(rows)

    @classmethod
    def from_arrays(
        cls,
        X: np.ndarray,
        y: Any,
        *,
        groups: Any = None,
        split: Any = None,
        ids: Any = None,
        name: str = "arrays",
        encoder: str = "arrays",
    ) -> "EmbeddingSet":
        """Build a set from plain arrays, so that a probe runs on anybody's vectors.

        Args:
            X: of shape (n, d).
            y: labels of shape (n,), or 0/1 of shape (n, labels) or a DataFrame of such columns for a multilabel
                target.
            groups: of shape (n,): the patient or lesion of each row, None or NaN where it is not known.
            split: of shape (n,): train, val or test.
            ids: of shape (n,), unique.
            name: of the data set. encoder: of the encoder.

        Raises:
            EmbedkitError: ``X`` is no matrix of real numbers, lengths that differ, ids that repeat, or columns of ``y``
                that are called as another one or as a column that the table keeps.
        """
        import pandas as pd

        X = _numbers(X)
        # By position: the index of somebody's table is not that of X.
        labels = (
            pd.DataFrame(y).reset_index(drop=True)
            if np.ndim(y) == 2
            else pd.DataFrame({"label": pd.Series(y).to_numpy()})
        )
        labels.columns = pd.Index([c if isinstance(c, str) else f"label:{c}" for c in labels.columns])
        _refuse_taken(labels.columns)
        columns = {
            "id": np.arange(len(X)).astype(str) if ids is None else ids,
            "group": groups,
            "split": split,
        }
        for key, value in columns.items():
            if np.ndim(value) > 1:
                raise EmbedkitError(f"{key} is of shape {np.shape(value)}: give one value for each row of X")
        # By pandas: numpy would make the text "nan" of what is missing in a list of names.
        given = {key: pd.Series(value).to_numpy() for key, value in columns.items() if value is not None}
        lengths = {"y": len(labels), **{key: len(value) for key, value in given.items()}}
        for key, length in lengths.items():
            if length != len(X):
                raise EmbedkitError(f"{key} has {length} rows but X has {len(X)}")
        table = pd.concat([pd.DataFrame(given), labels], axis=1)
        table["id"] = table["id"].astype(str)
        if table["id"].duplicated().any():
            raise EmbedkitError(f"the id {table['id'][table['id'].duplicated()].iloc[0]!r} stands more than once")
        dataset = {"targets": {"label": list(labels.columns)}, "facts": {}}
        return cls(X, table, {"name": name, "encoder": encoder, "key": "", "dataset": dataset})


def _numbers(X: Any) -> np.ndarray:
    found = np.asarray(X)
    if found.ndim != 2 or not found.shape[1] or found.dtype.kind not in "fiub":
        raise EmbedkitError(
            f"X must be (n, d), a matrix of real numbers with one row per image, and is of shape {found.shape} and "
            f"type {found.dtype}: give an array (of a sparse matrix .toarray())"
        )
    return found


def _refuse_taken(labels: "pd.Index") -> None:
    for name in labels:
        if name in _KEPT:
            raise EmbedkitError(f"y has a column '{name}', a name that the table keeps for itself: rename the column")
    if labels.has_duplicates:
        raise EmbedkitError(f"y has the column '{labels[labels.duplicated()][0]}' more than once: rename one of them")
