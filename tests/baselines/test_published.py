"""Published figures are shown with what makes them comparable, and never called so where they are not."""

import csv
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedkit.baselines import in_common, published_rows
from embedkit.baselines.published import _relations as relations
from embedkit.cache import EmbeddingSet
from embedkit.datasets import catalog

PUBLISHED: dict[str, Any] = {"split": "published"}
KEYS = ["model", "training", "resolution", "metric", "value", "comparable", "why", "source"]


def rows_of(dataset: str, *, related: tuple[str, ...] = (), resolution: Any = 28, **other: Any) -> list[dict[str, Any]]:
    return published_rows(
        dataset,
        related,
        resolution,
        other.get("target", "label"),
        {"split": other.get("split", "published")},
    )


def table() -> list[dict[str, str]]:
    with files("embedkit.baselines").joinpath("published.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_of_a_set_is_there_once_and_in_order() -> None:
    rows = rows_of("pathmnist")
    assert len(rows) == Counter(row["dataset"] for row in table())["pathmnist"]
    assert all(list(row) == KEYS for row in rows)
    order = [(not row["comparable"], -row["value"]) for row in rows]
    assert order == sorted(order)
    assert {row["metric"] for row in rows} == {"auc", "accuracy"}


def test_a_28_px_source_is_comparable_to_28_px_however_enlarged() -> None:
    rows = rows_of("pneumoniamnist", resolution=28)
    assert {row["resolution"] for row in rows if row["comparable"]} == {"28", "28 upsampled to 224"}
    assert {row["why"] for row in rows if not row["comparable"]} == {"made from images of 224 px, these are 28 px"}
    resnet18 = [row for row in rows if row["model"] == "resnet18" and row["resolution"] == "28 upsampled to 224"]
    assert {(row["metric"], row["value"]) for row in resnet18} == {("auc", 0.956), ("accuracy", 0.864)}


@pytest.mark.parametrize("name", ["pneumoniamnist-224", "pneumoniamnist"])
def test_a_224_px_source_is_comparable_to_medmnist_plus_only(name: str) -> None:
    rows = rows_of(name, resolution=224)
    assert {row["resolution"] for row in rows if row["comparable"]} == {"224"}
    assert all("Doerrich" in row["source"] for row in rows if row["comparable"])
    assert {row["why"] for row in rows if "upsampled" in row["resolution"]} == {
        "made from images of 28 px, these are 224 px"
    }


@pytest.mark.parametrize("resolution", [64, "64", "about 1300x1000 as published", "600x450 as published", "", None])
def test_another_or_an_unknown_resolution_is_not_comparable(resolution: Any) -> None:
    rows = rows_of("bloodmnist", resolution=resolution)
    assert rows and not any(row["comparable"] for row in rows)


def test_chest_xray_shows_the_rows_of_its_reduced_copy_as_not_comparable() -> None:
    rows = rows_of("chest-xray", related=("pneumoniamnist",), resolution=224)
    assert len(rows) == len(rows_of("pneumoniamnist"))
    assert not any(row["comparable"] for row in rows)
    whys = {row["resolution"]: row["why"] for row in rows}
    assert whys["28"] == "pneumoniamnist: the same test images, but reduced to 28 px"
    assert whys["224"] == "pneumoniamnist: the same test images, but reduced to 224 px"
    subtype = rows_of("chest-xray", related=("pneumoniamnist",), target="subtype")
    assert all(row["why"].startswith("published for the target 'label', not for 'subtype'; ") for row in subtype)


def test_dermamnist_is_comparable_with_its_leak_named() -> None:
    comparable = [row for row in rows_of("dermamnist", resolution=28) if row["comparable"]]
    assert len(comparable) == 8
    assert all("images of one lesion in training and in test" in row["why"] for row in comparable)


@pytest.mark.parametrize(
    ("split", "why"), [("folds", "cross-validation here"), ("other set", "trained on another set here")]
)
def test_another_protocol_is_not_comparable(split: str, why: str) -> None:
    rows = rows_of("breastmnist", split=split)
    assert rows and not any(row["comparable"] for row in rows)
    assert all(why in row["why"] for row in rows)


def test_an_average_of_metrics_is_no_auc() -> None:
    rows = rows_of("ham10000", resolution="600x450 as published", target="dx", split="folds")
    assert len(rows) == 3
    assert not any(row["comparable"] for row in rows)
    average = next(row for row in rows if row["metric"] == "avg of metrics")
    assert "none of the probe's and no AUC" in average["why"]
    assert "another split (paper split)" in average["why"]


def test_figures_from_memory_are_not_in_the_package() -> None:
    assert not [row for row in table() if "memory" in row["source"] or "to be confirmed" in row["source"]]
    assert rows_of("isic2018", resolution="600x450 as published", target="dx", split="other set") == []


def test_a_set_that_nobody_published_on_has_no_rows() -> None:
    assert rows_of("my-hospital") == []
    assert rows_of("my-hospital", related=("also-mine",)) == []


def test_related_sets_without_a_word_on_how_are_not_comparable_either() -> None:
    rows = rows_of("my-hospital", related=("bloodmnist",))
    assert {row["why"] for row in rows} == {"bloodmnist: another set, related to this one"}


def test_the_table_is_complete_and_sane() -> None:
    rows = table()
    assert all(row["source"] and row["training"] and row["model"] for row in rows)
    assert all(0 < float(row["value"]) <= 1 for row in rows)
    kept = Counter(tuple(row[key] for key in row if key != "value") for row in rows)
    assert max(kept.values()) == 1
    assert len({row["dataset"] for row in rows} - {"ham10000"}) == 12


def test_the_table_says_what_was_gathered(data_root: Path) -> None:
    source = data_root.parent / "baselines" / "published.csv"
    if not source.is_file():
        pytest.skip(f"no {source}")
    with source.open(encoding="utf-8") as file:
        everything = {tuple(row.values()) for row in csv.DictReader(file)}
    assert {tuple(row.values()) for row in table()} <= everything


def _of(name: str, **facts: Any) -> EmbeddingSet:
    about = {"targets": {"label": ["label"]}, "facts": {**catalog()[name].facts(), **facts}}
    one = EmbeddingSet.from_arrays(np.eye(2), ["a", "b"])
    return replace(one, provenance={"name": name, "encoder": "e", "key": "k", "dataset": about})


def test_every_pair_of_the_catalog_with_images_in_common_is_explained() -> None:
    pairs = {
        frozenset(re.sub(r"-(64|128|224)$", "", name) for name in (card.name, other))
        for card in catalog().values()
        for other in card.related
    }
    known = relations()["common"]
    assert {frozenset(pair.split()) for pair in known} == {pair for pair in pairs if len(pair) == 2}
    assert len(known) == len({frozenset(pair.split()) for pair in known})


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ("ham10000", "isic2018-task3", "HAM10000 is the training part of ISIC 2018 Task 3"),
        ("dermamnist-224", "ham10000", "DermaMNIST is HAM10000"),
        ("breastmnist", "busi", "BreastMNIST is made of the images of BUSI"),
        ("chestmnist-128", "nih-chestxray14", "split otherwise"),
        ("pathmnist", "pathmnist-64", "the same images in two sizes"),
    ],
)
def test_a_probe_across_sets_with_images_in_common_is_warned_of(train: str, test: str, words: str) -> None:
    for pair in ((train, test), (test, train)):
        (note,) = in_common(*map(_of, pair))
        assert note.startswith(f"{pair[0]} and {pair[1]}: ")
        assert words in note
        assert "no test on unseen patients" in note


def test_sets_without_images_in_common_are_not_warned_of() -> None:
    assert in_common(_of("ham10000"), _of("isic2018")) == []
    assert in_common(_of("bloodmnist"), _of("chest-xray")) == []
    hidden = replace(_of("ham10000"), provenance={**_of("ham10000", set="ham10000").provenance, "name": "hidden"})
    assert len(in_common(hidden, _of("dermamnist"))) == 1
