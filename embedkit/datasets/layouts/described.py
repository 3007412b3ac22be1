"""Any set whose layout the catalog describes: nothing here knows a set."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.catalog import catalog
from embedkit.datasets.contents import Contents
from embedkit.datasets.description import parse
from embedkit.datasets.gather import gather
from embedkit.datasets.published import first_there
from embedkit.datasets.shape import required, shape, with_pairs
from embedkit.datasets.tabular import MissingColumn
from embedkit.errors import EmbedkitError


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the files that list the images of a set, or its folders, as `DatasetCard.read` describes them."""
    description = parse(card.read)
    tables, facts = [], Counter[str]()
    try:
        for gathered in gather(description, place, required(description, card.targets)):
            tables.append(shape(gathered, description, card.targets))
            facts.update(gathered.facts)
    except MissingColumn as error:
        likely = _looks_like(error.names)
        raise EmbedkitError(f"{error} It looks like a table of {likely}." if likely else str(error)) from None
    table = with_pairs(pd.concat(tables, ignore_index=True), place, description)
    absent = [source.file[0] for source in description.tables if first_there(place, source.file) is None]
    seen: dict[str, Any] = {**facts, **({"absent_files": absent} if absent else {})}
    return Contents(table, facts=seen)


def _looks_like(names: Sequence[str]) -> str | None:
    """Return the set of the catalog whose table has most of these columns, and no fewer than it needs."""
    known = {name: parse(card.read) for name, card in catalog().items() if "tables" in card.read}
    needed = {
        name: {description.image, *required(description, catalog()[name].targets)}
        for name, description in known.items()
        if description.image and not description.header
    }
    fit = [name for name, columns in needed.items() if len(columns) > 1 and columns <= set(names)]
    return max(fit, key=lambda name: len(needed[name]), default=None)
