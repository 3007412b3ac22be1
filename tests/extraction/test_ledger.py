"""The cost of embeddings stands in the cache file, is summed over runs, and changes nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import read
from embedkit.cost import Cost
from embedkit.datasets import open_dataset
from embedkit.extraction import Embedded, embedding_cost, extract, prepare, target
from embedkit.extraction.ledger import with_cost
from tests.extraction import fake


def _recorded(path: Path) -> Embedded:
    found = embedding_cost(read(path).provenance)
    assert found is not None
    return found


def test_a_run_records_what_it_spent_and_the_next_adds_to_it(tmp_path: Path) -> None:
    counted = replace(fake.job(), multiply_adds=lambda _: 50)
    fake.write_images(tmp_path / "images", 20)
    dataset = open_dataset(f"folder:{tmp_path / 'images'}")
    first = extract(dataset, counted, tmp_path / "cache", workers=0)
    one = _recorded(first.path)
    assert (one.images, one.cost.multiply_adds) == (20, 1000)
    assert 0 < one.cost.wall_seconds <= first.seconds
    assert one.cost.peak_memory_bytes

    before = first.path.read_bytes()
    extract(dataset, counted, tmp_path / "cache", workers=0)
    assert first.path.read_bytes() == before

    fake.write_images(tmp_path / "images", 5, first=20)
    second = extract(open_dataset(f"folder:{tmp_path / 'images'}"), counted, tmp_path / "cache", workers=0)
    two = _recorded(second.path)
    assert (second.path, two.images, two.cost.multiply_adds) == (first.path, 25, 1250)
    assert two.cost.wall_seconds > one.cost.wall_seconds


def test_key_vectors_and_table_are_those_of_a_file_without_a_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write_images(tmp_path / "images", 12)
    with_it = fake.run(tmp_path / "images", tmp_path / "a")
    monkeypatch.setattr(target, "with_cost", lambda provenance, before, now: provenance)
    without = fake.run(tmp_path / "images", tmp_path / "b")
    assert with_it.path.name == without.path.name
    one, two = read(with_it.path), read(without.path)
    assert one.X.tobytes() == two.X.tobytes()
    assert one.table.equals(two.table)
    assert embedding_cost(two.provenance) is None
    assert {name: value for name, value in one.provenance.items() if name != "cost"} == two.provenance


def test_a_file_of_before_is_up_to_date_and_its_images_are_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write_images(tmp_path / "images", 12)
    with monkeypatch.context() as before:
        before.setattr(target, "with_cost", lambda provenance, before, now: provenance)
        old = fake.run(tmp_path / "images", tmp_path / "cache")
    assert fake.run(tmp_path / "images", tmp_path / "cache").embedded == 0
    fake.write_images(tmp_path / "images", 3, first=12)
    assert fake.run(tmp_path / "images", tmp_path / "cache").embedded == 3
    assert _recorded(old.path).images == 3


def test_a_corrected_table_keeps_the_cost(tmp_path: Path) -> None:
    fake.write_images(tmp_path / "images", 12)
    first = fake.run(tmp_path / "images", tmp_path / "cache")
    one = _recorded(first.path)
    (tmp_path / "images" / "a").rename(tmp_path / "images" / "c")
    second = fake.run(tmp_path / "images", tmp_path / "cache")
    assert second.embedded == 0
    assert list(read(second.path).table["label"].unique()) == ["b", "c"]
    two = _recorded(second.path)
    assert two.images == 12
    assert two.cost.wall_seconds >= one.cost.wall_seconds


def test_what_one_run_could_not_count_is_not_known_in_the_sum() -> None:
    known = Embedded(2, Cost(multiply_adds=10))
    provenance = with_cost({"name": "set"}, None, known)
    assert json.loads(provenance["cost"])["multiply_adds_per_image"] == 5
    later = embedding_cost(with_cost({}, provenance, Embedded(1, Cost(multiply_adds=None))))
    assert later == Embedded(3, Cost(multiply_adds=None))
    assert with_cost({"name": "set"}, None, Embedded(0, Cost())) == {"name": "set"}


def test_a_real_encoder_is_counted(data_root: Path, weights_root: Path, tmp_path: Path) -> None:
    whole = open_dataset("hei-med", data_root)
    few = replace(whole, table=whole.table.head(3))
    report = extract(few, prepare("vit-ti16", weights_folder=weights_root), tmp_path, workers=0, batch=3)
    found = _recorded(report.path).to_dict()
    # ViT-Ti/16: 1.26 billion published; attention and the patch embedding are in it, the classifier is cut off.
    assert found["multiply_adds_per_image"] == pytest.approx(1.26e9, rel=0.01)
    assert np.isfinite(found["processor_seconds"])
