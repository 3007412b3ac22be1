"""The catalog: the encoders that embedkit knows by name, read from catalog.toml."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from embedkit.encoders.card import EncoderCard
from embedkit.encoders.preprocess import Preprocessing


@cache
def catalog() -> dict[str, EncoderCard]:
    """Return every row of the catalog under its name, in the order of the file."""
    text = (files("embedkit.encoders") / "catalog.toml").read_text(encoding="utf-8")
    return {name: _card(name, row) for name, row in tomllib.loads(text).items()}


def _card(name: str, row: dict[str, Any]) -> EncoderCard:
    preprocessing = Preprocessing.from_table(row.pop("preprocessing"), f"{name} in catalog.toml")
    return EncoderCard(name=name, preprocessing=preprocessing, files=tuple(row.pop("files", ())), **row)
