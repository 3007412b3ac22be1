"""mini-MIAS: Info.txt lists the films in pairs, right and left of a patient, with a line per finding."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedkit.datasets.card import DatasetCard
from embedkit.datasets.contents import Contents
from embedkit.datasets.published import find_images, first_mark
from embedkit.datasets.tabular import read_text
from embedkit.errors import EmbedkitError

_LINE = re.compile(
    r"(?P<id>mdb(?P<number>\d{3}))\s+(?P<tissue>[FGD])\s+"
    r"(NORM|(?P<abnormality>CALC|CIRC|SPIC|MISC|ARCH|ASYM)\s+(?P<severity>[BM])"
    r"(\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+)|\s+\*NOTE 3\*)?)\s*"
)


def read(card: DatasetCard, place: Path) -> Contents:
    """Read Info.txt: one row per film, its finding the first that is listed, malignant if any of them is."""
    mark = first_mark(place, card.marks)
    films: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(read_text(place / mark).splitlines(), start=1):
        if not line.startswith("mdb"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise EmbedkitError(f"{place / mark}, line {number}: '{line}' is no line of the published file.")
        film = films.setdefault(match["id"], _film(match))
        if match["severity"] == "M":
            film["severity"] = "M"
    if not films:
        raise EmbedkitError(f"{place / mark} lists no films (lines that start with mdb001 and so on): fetch it anew.")
    paths, facts = find_images(place, list(films), mark, ".pgm")
    table = pd.DataFrame(list(films.values()))
    table.insert(1, "path", paths)
    return Contents(table, facts=facts)


def _film(match: re.Match[str]) -> dict[str, Any]:
    number = int(match["number"])
    finding = match["abnormality"]
    return {
        "id": match["id"],
        "label": match["tissue"],
        "group": f"patient{(number + 1) // 2:03d}",
        "abnormal": "abnormal" if finding else "normal",
        "abnormality": finding or "NORM",
        "severity": match["severity"] or np.nan,
        "laterality": "right" if number % 2 else "left",
        **{name: float(match[name] or "nan") for name in ("x", "y", "radius")},
    }
