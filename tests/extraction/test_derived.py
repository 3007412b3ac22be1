"""The vectors of an aligned pair are made of its image encoder's, and no image is read for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import read
from embedkit.datasets import footprint, open_dataset
from embedkit.encoders import AlignedPair, space
from embedkit.encoders.pair import FACTS
from embedkit.errors import EmbedkitError
from embedkit.extraction import Derived, Report, extract, extract_all, extract_named, named
from tests.extraction.fake import FakeEncoder, job, write_images

RNG = np.random.default_rng(0)


def a_pair(**facts: object) -> AlignedPair:
    shapes = {"mean": 6, "projection": (2, 6), "bias": 2, "texts": (3, 4), "scale": 1}
    arrays = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    told = dict.fromkeys(FACTS, "x") | {"classes": ["a", "b", "c"], "space": "words", "data": "other"}
    return AlignedPair(**arrays, basis=np.eye(2, 4, dtype=np.float32), facts=told | facts)


PAIR = a_pair()


def aligned(encoder: FakeEncoder | None = None, pair: AlignedPair = PAIR) -> Derived:
    return Derived(pair.name, job(encoder), pair)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", 12)
    return tmp_path / "images"


def run(folder: Path, cache: Path, made: Derived | None = None, **options: object) -> Report:
    return extract(open_dataset(f"folder:{folder}"), made or aligned(), cache, workers=0, batch=8, **options)


def test_vectors_are_those_of_the_image_encoder_turned(folder: Path, cache: Path) -> None:
    report = run(folder, cache)
    assert (report.total, report.embedded, report.reused) == (12, 12, 0)
    [base] = (cache / report.data).glob("fake.*.h5ad")
    images, found = read(base), read(report.path)
    np.testing.assert_array_equal(found.X, PAIR.embed(images.X))
    assert found.table.equals(images.table)
    assert (found.encoder, found.key) == ("aligned-x-x", report.key)
    assert space(found.provenance["configuration"]["encoder"]) == "words"
    assert found.facts["aligned_with"] == "other"
    in_memory = PAIR.apply(replace(images, provenance={**images.provenance, "key": "x"}))
    assert (in_memory.key, in_memory.provenance["configuration"]) == (found.key, found.provenance["configuration"])


def test_what_is_cached_is_turned_without_an_image(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(f"folder:{folder}")
    extract(dataset, job(), cache, workers=0)
    monkeypatch.setattr("embedkit.extraction.run.decoded", lambda *_, **__: pytest.fail("an image was read"))
    assert run(folder, cache).embedded == 12
    again = run(folder, cache)
    assert (again.embedded, again.reused) == (0, 12)
    # Another projection of the same encoder is another file.
    other = run(folder, cache, aligned(pair=a_pair()))
    assert (other.embedded, other.key == again.key) == (12, False)


def test_an_image_is_embedded_once_for_encoder_and_pair(folder: Path, cache: Path) -> None:
    encoder = FakeEncoder()
    jobs = [aligned(encoder), job(encoder), aligned(encoder, a_pair())]
    reports = extract_all(open_dataset(f"folder:{folder}"), jobs, cache, workers=0, batch=12)
    assert [report.embedded for report in reports] == [12, 12, 12]
    assert encoder.batches == [12]


def test_only_what_is_new_is_turned_and_what_failed_is_told(folder: Path, cache: Path) -> None:
    run(folder, cache)
    write_images(folder, 3, first=12)
    (folder / "a" / "broken.png").write_bytes(b"no image")
    report = run(folder, cache)
    assert (report.total, report.embedded, report.reused) == (16, 3, 12)
    assert [(row["path"], row["reason"]) for row in report.ledger] == [("a/broken.png", "not an image")]
    assert len(read(report.path)) == 15
    assert read(report.path).failed["path"].tolist() == ["a/broken.png"]


def test_nothing_to_do_is_said_without_opening_the_set(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "FRESH_NS", 0)
    extract_named(f"folder:{folder}", aligned(), cache, workers=0)
    monkeypatch.setattr(named, "open_dataset", lambda *_: pytest.fail("the set was opened"))
    assert extract_named(f"folder:{folder}", aligned(), cache, workers=0).reused == 12


def test_a_damaged_file_is_made_anew(folder: Path, cache: Path) -> None:
    report = run(folder, cache)
    whole = report.path.read_bytes()
    report.path.write_bytes(whole[:-64] + bytes(64))
    assert run(folder, cache, repair=True).path.read_bytes() == whole


def test_parts_are_of_the_image_encoder(folder: Path, cache: Path) -> None:
    with pytest.raises(EmbedkitError, match="aligned-x-x embeds no image itself"):
        run(folder, cache, part=(1, 2))
    assert not cache.exists()
