"""A saved pair is the image encoder of every verb, by the cached embeddings of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import embedkit as ek
from embedkit import encoders
from tests.cli.conftest import WORDING, Run
from tests.encoders.test_text_towers import a_bert

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def pair(embedkit: Run, tiny_model: str, images: Path, place: Path) -> str:
    """A pair of a tiny image encoder and a small BERT, both real, and their prompts."""
    a_bert(place / "bert")
    (place / "mine.toml").write_text(WORDING)
    words = ("align", "--image-encoder", tiny_model, "--text-encoder", f"hf:{place / 'bert'}", "-d", f"folder:{images}")
    done = embedkit(*words, "--prompts", "mine.toml", "--folds", 2, "--replicates", 100, "--out", "pair")
    assert done.status == 0, done.err
    return "aligned:pair"


def test_every_verb_takes_it_and_no_image_is_read(
    embedkit: Run, pair: str, tiny_model: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedkit.extraction.run.decoded", lambda *_, **__: pytest.fail("an image was read"))
    data = ("-d", f"folder:{images}")
    [report] = embedkit("extract", "-m", pair, *data, "--json").results
    assert (report["model"], report["embedded"]) == ("aligned-onnx-tiny-bert", 32)
    known = ek.load_aligned("pair")
    wanted = known.apply(ek.load(tiny_model, f"folder:{images}"))
    np.testing.assert_array_equal(ek.cache.read(Path(report["path"])).X, wanted.X)

    usual = (*data, "--replicates", 100)
    [probed] = embedkit("probe", "-m", pair, *usual, "--folds", 2, "--json").results
    assert probed["key"] == wanted.key == report["key"]
    assert any("has learnt from labels of folder-images" in note for note in probed["notes"])

    [judged] = embedkit("zeroshot", "-m", pair, *usual, "--prompts", "mine.toml", "--json").results
    assert judged["wording"]["logit_scale"] == pytest.approx(float(known.scale[0]))
    assert any("no zero-shot in the strict sense" in note for note in judged["notes"])
    few = (*usual, "--folds", 2, "--prompts", "mine.toml", "--shots", 2)
    [table] = embedkit("fewshot", "-m", pair, *few, "--draws", 2, "--json").results
    assert table["protocol"]["projection"] is None
    assert "the pair was aligned with all labels" in table["notes"][-1]
    *found, _ = embedkit("compare", "-m", pair, *few, "--json").results
    assert {one["classifier"] for one in found} == {"logistic", "aligned", "zero-shot"}


def test_it_is_loaded_from_what_either_encoder_has_cached(embedkit: Run, pair: str, images: Path, place: Path) -> None:
    data = f"folder:{images}"
    one = ek.load(pair, data)
    embedkit("extract", "-m", pair, "-d", data)
    [own] = place.glob("cache/folder-*/*tiny.*.h5ad")
    own.unlink()
    two = ek.load(pair, data)
    np.testing.assert_array_equal(one.X, two.X)
    assert one.key == two.key
    np.testing.assert_allclose(ek.load(pair, data, rows=slice(2, 5)).X, one.X[2:5], atol=1e-6)
    with pytest.raises(ek.cache.NotCached):
        ek.load(pair, data, key="0" * 16)
    embedkit("cache", "rm", "-y", *place.glob("cache/folder-*/*.h5ad"))
    with pytest.raises(ek.cache.NotCached, match="embedkit extract --model aligned:pair"):
        ek.load(pair, data)


def test_where_the_images_are_gone_the_cached_vectors_are_turned(
    embedkit: Run, pair: str, images: Path, place: Path
) -> None:
    images.rename(place / "elsewhere")
    done = embedkit("probe", "-m", pair, "-d", f"folder:{images}", "--folds", 2, "--replicates", 100)
    assert done.status == 0, done.err
    assert "aligned-onnx-tiny-bert" in done.out


def test_texts_and_weights_of_others_are_refused(embedkit: Run, pair: str, images: Path, clip: str) -> None:
    data = ("-d", f"folder:{images}", "--prompts", "mine.toml")
    other = embedkit("zeroshot", "-m", pair, *data, "--text-encoder", clip)
    assert (other.status, "the spaces differ: the pair was aligned with" in other.err) == (2, True)
    known = ek.load_aligned("pair")
    replace(known, facts=known.facts | {"image_key": "0123456789abcdef"}).save("stale")
    stale = embedkit("extract", "-m", "aligned:stale", "-d", f"folder:{images}")
    assert (stale.status, "was aligned with onnx-tiny of the key 0123456789abcdef" in stale.err) == (2, True)
    absent = embedkit("extract", "-m", "aligned:absent", "-d", f"folder:{images}")
    assert (absent.status, "there is no aligned pair absent" in absent.err) == (2, True)
    checked = embedkit("models", "check", pair, "pair")
    assert (checked.status, "check the file of that one" in checked.err) == (2, True)


def test_its_text_tower_has_the_scale_that_was_learnt(pair: str) -> None:
    tower = encoders.text_tower(pair)
    assert tower.logit_scale == pytest.approx(float(ek.load_aligned("pair").scale[0]))
    assert tower.space == ek.load_aligned("pair").facts["space"]
    assert encoders.has_text(encoders.resolve(pair))
