"""Several views of a case (the two projections of a breast) as one vector: their embeddings side by side."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from embedkit.errors import EmbedkitError
from embedkit.probing.levels import pool_embeddings, pooled, units_of
from embedkit.probing.sample import Sample
from embedkit.probing.target import as_names, in_order, listed


@dataclass(frozen=True)
class Views:
    """The column that tells the views apart, and those that make up a case, in the order of their embeddings."""

    column: str
    names: tuple[str, ...]


def views_column(text: str) -> str:
    """Return the column of ``COLUMN`` or ``COLUMN:A,B``."""
    return text.partition(":")[0]


def read_views(text: str, sample: Sample) -> Views:
    """Return what ``COLUMN`` or ``COLUMN:A,B`` means for a sample: the views named, or all of its column.

    Raises:
        EmbedkitError: fewer than two views.
    """
    column, _, named = text.partition(":")
    held = as_names(pd.Series(sample.extra[column])).dropna().unique().tolist()
    names = tuple(dict.fromkeys(name.strip() for name in named.split(",") if name.strip())) or in_order(held)
    if len(names) < 2:
        raise EmbedkitError(
            f"views = {text} are {len(names)}, and a case needs two to be joined: choose another column than "
            f"'{column}' (it holds {listed(held) or 'nothing'})"
        )
    return Views(column, names)


def join_views(sample: Sample, views: Views, level: str, how: str) -> Sample:
    """Return one row per unit and split: the embeddings of its views side by side, (n, V d).

    Several images of one view are pooled first. Images of other views, and units that lack a view, are left out, and
    the notes say how many.

    Args:
        how: ``mean`` or ``max``, of several images of one view.

    Raises:
        EmbedkitError: no unit has all views; or as `pool_embeddings`.
    """
    named = as_names(pd.Series(sample.extra[views.column]))
    known = np.flatnonzero(named.isin(views.names))
    if not len(known):
        held = listed(in_order(named.dropna().unique().tolist())) or "nothing"
        raise EmbedkitError(
            f"no image has one of the views {', '.join(views.names)} in '{views.column}', which holds {held}: name "
            f"those, as in --views {views.column}:NAME,NAME"
        )
    notes = list(sample.notes)
    if len(known) < len(sample):
        notes.append(
            f"{len(sample) - len(known)} images have none of the views {', '.join(views.names)} in '{views.column}' "
            "and were left out"
        )
    shown, view = sample.select(known), named.iloc[known].map(views.names.index).to_numpy(int)
    codes = _units(shown, level)
    has = np.zeros((codes.max(initial=-1) + 1, len(views.names)), bool)
    has[codes, view] = True
    whole = np.asarray(has.all(axis=1))
    lacking = ", ".join(f"{name} {count}" for name, count in zip(views.names, (~has).sum(axis=0), strict=True) if count)
    if not whole.any():
        raise EmbedkitError(
            f"none of {len(has)} units of the level '{level}' has all the views {', '.join(views.names)} (they lack: "
            f"{lacking or 'all'}): name fewer, as in {views.column}:{','.join(views.names[:2])}, or "
            "choose another level"
        )
    if not whole.all():
        notes.append(
            f"{(~whole).sum()} of {len(has)} units of the level '{level}' lack a view and were left out "
            f"(lacking: {lacking})"
        )
    rows = np.flatnonzero(whole[codes])
    shown, view = shown.select(rows), view[rows]
    codes = _units(shown, level)
    X = shown.X.astype(np.float32, copy=False)
    parts = [pooled(X[view == v], codes[view == v], how) for v in range(len(views.names))]
    return replace(pool_embeddings(shown, level, how), X=np.hstack(parts), notes=tuple(notes))


def _units(sample: Sample, level: str) -> np.ndarray:
    keys = pd.MultiIndex.from_arrays([sample.split, units_of(sample, level)])
    return np.asarray(pd.factorize(keys)[0])
