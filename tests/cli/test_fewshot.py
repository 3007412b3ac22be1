"""`embedkit fewshot` and `align`: a table, a figure, a pair that can be used again, a sentence for what is wrong."""

from pathlib import Path

import pytest

import embedkit as ek
from embedkit import words
from embedkit.encoders import TextTower
from tests.cli.conftest import Run
from tests.text.fewshot.making import a_tower

PROMPTS = """
templates = ["a photo of {}."]
[classes]
red = "something red"
green = "something green"
"""


@pytest.fixture
def prompts(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prompts for the images, and a text tower of the name ``words``."""

    def tower_for(model: str | None, text_encoder: str | None = None, **_: object) -> TextTower:
        return a_tower(name=str(text_encoder or model))

    monkeypatch.setattr(words, "tower_for", tower_for)
    path = place / "prompts.toml"
    path.write_text(PROMPTS)
    return path


def test_a_table_and_a_figure_without_texts(embedkit: Run, tiny_model: str, images: Path) -> None:
    words = ("fewshot", "-m", tiny_model, "-d", f"folder:{images}", "--folds", 2, "--shots", "1,2", "--replicates", 100)
    done = embedkit(*words, "--draws", 2, "--figures", "drawn")
    assert done.status == 0, done.err
    assert "linear-probe" in done.out
    assert "2 shots" in done.out
    assert Path(done.out.partition("saved: ")[2].splitlines()[0]).is_file()
    assert [path.suffix for path in Path("drawn").iterdir()] == [".png"]
    [result] = embedkit(*words, "--draws", 2, "--json").results
    assert {point["method"] for point in result["points"]} == {"linear-probe", "prototypes"}
    assert all(point["auc"]["low"] <= point["auc"]["high"] for point in result["points"])

    for more, sentence in [
        (("--method", "lp++"), "give a text encoder too"),
        (("--shots", "99"), "99 shots are more than there are training images"),
        (("--shots", "one"), "--shots one is no list of numbers"),
        (("--shots", "none"), "give shots or fractions"),
        (("--aligned", "absent.safetensors"), "there is no aligned pair absent.safetensors"),
    ]:
        refused = embedkit(*words, *more)
        assert refused.status == 2
        assert sentence in refused.err


def test_an_aligned_pair_is_saved_and_used_again(
    embedkit: Run, tiny_model: str, images: Path, prompts: Path, place: Path
) -> None:
    data = ("-d", f"folder:{images}", "--folds", 2, "--prompts", prompts, "--replicates", 100)
    aligning = ("align", "--image-encoder", tiny_model, "--text-encoder", "words", *data)
    done = embedkit(*aligning, "--out", "pair.safetensors")
    assert done.status == 0, done.err
    assert "aligned" in done.out
    assert "saved: pair.safetensors" in done.out
    [again] = embedkit(*aligning, "--json").results
    assert Path(again["pair"]).read_bytes() == Path("pair.safetensors").read_bytes()
    assert 0.5 < again["auc"]["value"] <= 1

    pair = ek.load_aligned("pair.safetensors")
    embeddings = ek.load(tiny_model, f"folder:{images}")
    assert pair.facts["image_key"] == embeddings.key
    assert pair.apply(embeddings).X.shape == (len(embeddings), 8)

    shots = ("fewshot", "-m", tiny_model, *data, "--draws", 2, "--shots", 2, "--aligned", "pair.safetensors")
    [result] = embedkit(*shots, "--method", "text", "--method", "tip-adapter", "--json").results
    assert result["text_encoder"] == "words"
    assert result["protocol"]["projection"] is None, "the pair has one space"
    assert "aligned with all labels" in result["notes"][-1]

    other = embedkit(*shots, "--text-encoder", "other")
    assert (other.status, "the spaces differ" in other.err) == (2, True)
    held = embedkit(*aligning, "--hold-out", "red")
    assert (held.status, "fewer than two classes" in held.err) == (2, True)
    assert embedkit("show", *place.glob("results/*/*.aligned.*.json")).status == 0


def test_all_routes_on_the_same_images(embedkit: Run, tiny_model: str, images: Path, prompts: Path) -> None:
    which = ("-m", tiny_model, "-d", f"folder:{images}", "--folds", 2, "--replicates", 100)
    words = ("compare", *which, "--text-encoder", "words", "--prompts", prompts, "--shots", 2)
    done = embedkit(*words)
    assert done.status == 0, done.err
    for told in ("logistic", "aligned", "lp++", "no zero-shot", "embedkit baseline train"):
        assert told in done.out
    *found, few = embedkit(*words, "--json").results
    assert {one["classifier"] for one in found} == {"logistic", "aligned"}
    assert len({one["n_test"] for one in [*found, few]}) == 1
    assert sum(one["comparison"]["best"] for one in found) == 1
    [alone] = embedkit("probe", *which, "--json").results
    assert [one["auc"] for one in found if one["classifier"] == "logistic"] == [alone["auc"]]
