"""Published figures beside a probe, each with what makes it comparable or not."""

import csv
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from embedkit.cache import EmbeddingSet
from embedkit.datasets import ImageSet
from embedkit.probing import ProbeResult

# How `embedkit.probing` and the MedMNIST evaluator name and define the same numbers.
_SAME_METRICS = ("auc", "accuracy", "balanced_accuracy", "f1_macro")
_OFFICIAL = "official test"
_SPLITS = {
    "folds": "judged by cross-validation here, but on an official test split there",
    "other set": "trained on another set here",
    "sites": "judged by holding out sites here, but on an official test split there",
}


def beside(result: ProbeResult, judged: EmbeddingSet | ImageSet) -> list[dict[str, Any]]:
    """Return the published figures that concern the set a result was judged on, as `published_rows`."""
    facts = judged.facts
    return published_rows(
        facts.get("set", judged.name),
        related=facts.get("related", []),
        resolution=facts.get("resolution"),
        target=result.target,
        protocol=result.protocol,
    )


def in_common(train: EmbeddingSet | ImageSet, test: EmbeddingSet | ImageSet) -> list[str]:
    """Return what a probe from one set to another must be read with where the two have images in common."""
    names = [str(one.facts.get("set", one.name)) for one in (train, test)]
    if names[1] not in train.facts.get("related", []) and names[0] not in test.facts.get("related", []):
        return []
    plain = [_plain(name) for name in names]
    words = "the same images in two sizes"
    if plain[0] != plain[1]:
        common = _relations()["common"]
        words = common.get(" ".join(plain)) or common.get(" ".join(reversed(plain)), "their images are related")
    return [
        f"{names[0]} and {names[1]}: {words}. Images that were learnt from may be among the judged ones: this is no "
        "test on unseen patients"
    ]


def published_rows(
    dataset: str, related: Sequence[str], resolution: int | str | None, target: str, protocol: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the published figures that concern a judged set.

    A figure is comparable where the set, its test split, the resolution of the source images (28 px enlarged to
    224 are 28) and the metric are those of the probe.

    Args:
        dataset: the name of the judged set; ``NAME-224`` is the set NAME in another size.
        related: sets made of the same images or patients.
        resolution: of the source images, pixels of a square's side; anything else matches no figure.
        target: what was predicted. protocol: of the `ProbeResult`; its ``split`` is read.

    Returns:
        One dictionary per figure: ``model``, ``training``, ``resolution``, ``metric``, ``value``, ``comparable``,
        ``why`` (a sentence in either case) and ``source``; comparable ones first, then by falling value.
    """
    name = _plain(dataset)
    found = []
    for row in _table():
        if row["dataset"] not in (name, *related):
            continue
        reasons = _differences(row, name, resolution, target, protocol)
        why = "; ".join(reasons) if reasons else _agreement(row)
        kept = {key: row[key] for key in ("model", "training", "resolution", "metric")}
        value = {"value": float(row["value"]), "comparable": not reasons, "why": why, "source": row["source"]}
        found.append({**kept, **value})
    return sorted(found, key=lambda row: (not row["comparable"], -row["value"]))


def _differences(
    row: Mapping[str, str], name: str, resolution: int | str | None, target: str, protocol: Mapping[str, Any]
) -> list[str]:
    reasons = []
    about = _relations()["target"].get(name, target)
    if target != about:
        reasons.append(f"published for the target '{about}', not for '{target}'")
    if row["metric"] not in _SAME_METRICS:
        reasons.append(f"the metric is '{row['metric']}', which is none of the probe's and no AUC")
    if row["dataset"] != name:
        words = _relations()["related"].get(name, {}).get(row["dataset"], "another set, related to this one")
        return [*reasons, f"{row['dataset']}: {words.format(px=_source(row['resolution']) or row['resolution'])}"]
    if row["split"] != _OFFICIAL:
        reasons.append(f"judged on another split ({row['split']})")
    elif protocol["split"] in _SPLITS:
        reasons.append(_SPLITS[protocol["split"]])
    level = protocol.get("settings", {}).get("level", "image")
    if level != "image":
        reasons.append(f"judged per image there, per {level} here")
    if _source(row["resolution"]) is None or _source(row["resolution"]) != _source(resolution):
        here = f"{resolution} px" if _source(resolution) else resolution or "of unknown size"
        reasons.append(f"made from images of {_source(row['resolution']) or row['resolution']} px, these are {here}")
    return reasons


def _agreement(row: Mapping[str, str]) -> str:
    same = f"the same official test images from the same {_source(row['resolution'])} px source, and the same metric"
    caveat = _relations()["caveat"].get(row["dataset"])
    return f"{same}; {caveat}" if caveat else same


def _plain(name: str) -> str:
    """Return the name of a set without the size in which it is published."""
    return re.sub(r"-(64|128|224)$", "", name)


def _source(resolution: int | str | None) -> int | None:
    """Return the side in pixels of the images a figure was made from, None where that is not one number."""
    side = re.match(r"(\d+)(?= upsampled to |$)", str(resolution))
    return int(side[1]) if side else None


@cache
def _table() -> list[dict[str, str]]:
    with files(__package__).joinpath("published.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _relations() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("relations.toml").read_text(encoding="utf-8"))
