"""The catalog: catalog.toml read into cards, one per set and published size."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from embedkit.datasets.card import DatasetCard, OpenFile

_Row = dict[str, Any]


def catalog() -> dict[str, DatasetCard]:
    """Return every set known by name, in the order of the catalog."""
    return dict(_cards())


def canonical(name: str) -> str | None:
    """Return the catalog's name for `name` (case, ``_`` and aliases aside), or None where it has none."""
    plain = name.strip().lower().replace("_", "-")
    return next((card.name for card in _cards().values() if plain in (card.name, *card.aliases)), None)


@cache
def _cards() -> dict[str, DatasetCard]:
    book = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text(encoding="utf-8"))
    shared: dict[str, _Row] = book["layout"]
    rows = {name: _row(row, shared) for name, row in book["set"].items()}
    sizes = {name: _sizes(name, row) for name, row in rows.items()}
    cards: dict[str, DatasetCard] = {}
    for name, row in rows.items():
        relatives = [name, *row.pop("related", ())]
        family = [member["name"] for relative in relatives for member in sizes[relative]]
        for member in sizes[name]:
            related = tuple(other for other in family if other != member["name"])
            cards[member["name"]] = _card({**row, **member, "related": related})
    return cards


def _row(row: _Row, shared: dict[str, _Row]) -> _Row:
    """Return a row laid over what it shares with others, and so is what they say in `read`."""
    whole: _Row = {"layout": "described"}
    under = [shared.get(row.get("layout", ""), {}), shared.get(row.get("like", ""), {})]
    for layer in (*under, row):
        read = whole.get("read", {}) | layer.get("read", {})
        whole = whole | layer | ({"read": read} if read else {})
    whole.pop("like", None)
    return whole


def _sizes(name: str, row: _Row) -> list[_Row]:
    """Return what is particular to each published size of a set; one entry where it has one size."""
    if "md5" not in row:
        return [{"name": name}]
    members: list[_Row] = []
    for size, md5 in row["md5"].items():
        first = not members
        file = row["file"].format(size=size) if "file" in row else f"{name}.npz" if first else f"{name}_{size}.npz"
        members.append(
            {
                "name": name if first else f"{name}-{size}",
                "aliases": (f"{name}-{size}",) if first else (),
                "folders": (name, *row["folders"]),
                "marks": (file, f"{name}_{size}.npz") if first else (file,),
                "resolution": int(size),
                "files": (OpenFile(file, row["url"].format(file=file), md5),),
            }
        )
    return members


def _card(row: _Row) -> DatasetCard:
    if "marks" not in row:
        row = row | {"marks": [name for source in row["read"]["tables"] for name in _several(source["file"])]}
    fields: _Row = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    fields["targets"] = {target: tuple(columns) for target, columns in row["targets"].items()}
    for key in ("md5", "url", "file"):
        fields.pop(key, None)
    return DatasetCard(**fields)


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
