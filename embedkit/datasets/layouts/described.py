"""Any set whose layout the catalog describes: nothing here knows a set."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.description import parse
from embedkit.datasets.gather import gather
from embedkit.datasets.published import first_there
from embedkit.datasets.shape import required, shape, with_pairs


def read(card: DatasetCard, place: Path) -> Contents:
    """Read the files that list the images of a set, or its folders, as `DatasetCard.read` describes them."""
    description = parse(card.read)
    tables, facts = [], Counter[str]()
    for gathered in gather(description, place, required(description, card.targets)):
        tables.append(shape(gathered, description, card.targets))
        facts.update(gathered.facts)
    table = with_pairs(pd.concat(tables, ignore_index=True), place, description)
    absent = [source.file[0] for source in description.tables if first_there(place, source.file) is None]
    seen: dict[str, Any] = {**facts, **({"absent_files": absent} if absent else {})}
    return Contents(table, facts=seen)
