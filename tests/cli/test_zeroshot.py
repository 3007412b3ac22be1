"""``embedkit zeroshot``: the table, the JSON, what is saved, and what is refused with one sentence."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run

PROMPTS = 'templates = ["a photo of {}.", "it is all {}."]\n[classes]\nred = "red"\ngreen = "green"\n'


@pytest.fixture
def prompts(place: Path) -> Path:
    (place / "prompts.toml").write_text(PROMPTS)
    return place / "prompts.toml"


def test_table_json_and_saved_result(embedkit: Run, clip: str, images: Path, prompts: Path) -> None:
    words = ("zeroshot", "--model", clip, "--data", f"folder:{images}", "--prompts", prompts, "--replicates", 100)
    done = embedkit(*words)
    assert done.status == 0
    assert "How much hangs on the wording" in done.out
    assert "all of them (ensemble)" in done.out
    saved = done.out.partition("saved: ")[2].strip()
    assert embedkit("show", saved).out.strip() == done.out.partition("saved: ")[0].strip()
    [result] = embedkit(*words, "--json").results
    assert {"data", "model", "key", "classifier", "target", "auc", "accuracy", "calibration", "wording"} <= set(result)
    assert result["classifier"] == "zero-shot"
    assert [row["template"] for row in result["wording"]["templates"]] == ["a photo of {}.", "it is all {}."]
    for one in (result, *result["wording"]["templates"]):
        assert one["auc"]["low"] <= one["auc"]["value"] <= one["auc"]["high"]
    assert result["calibration"]["ece"]["low"] is not None
    assert result["wording"]["texts"] == {"green": ["a photo of green.", "it is all green."],
                                          "red": ["a photo of red.", "it is all red."]}  # fmt: skip
    listed = embedkit("cache", "ls", "--json").results
    assert [one["data"] for one in listed if one["d"] == 8 and one["n"] == 4] == ["texts"]
    assert embedkit("cache", "verify").status == 0


def test_other_words_are_another_file(embedkit: Run, clip: str, images: Path, prompts: Path, place: Path) -> None:
    words = ("zeroshot", "--model", clip, "--data", f"folder:{images}", "--prompts", prompts, "--replicates", 100)
    embedkit(*words)
    prompts.write_text(PROMPTS.replace('"red"', '"crimson"'))
    embedkit(*words)
    assert len(list((place / "results").rglob("*.json"))) == 2


def test_a_broken_image_is_told(embedkit: Run, clip: str, images: Path, prompts: Path) -> None:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    words = ("zeroshot", "--model", clip, "--data", f"folder:{images}", "--prompts", prompts, "--replicates", 100)
    done = embedkit(*words)
    assert done.status == 1
    assert "broken.png" in done.err
    assert embedkit(*words, "--allow-failed", 1).status == 0


def test_an_image_that_fails_for_several_encoders_is_counted_once(
    embedkit: Run, clip: str, images: Path, prompts: Path, place: Path
) -> None:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    shutil.copytree(clip.removeprefix("open_clip:"), place / "second")
    models = ("--model", clip, "--model", f"open_clip:{place / 'second'}")
    words = ("zeroshot", *models, "--data", f"folder:{images}", "--prompts", prompts, "--replicates", 100)
    assert embedkit(*words, "--allow-failed", 1).status == 0
    assert embedkit(*words).status == 1


def test_mistakes_are_one_sentence(embedkit: Run, clip: str, images: Path, prompts: Path, place: Path) -> None:
    data = ("--data", f"folder:{images}")

    def refused(*words: object) -> str:
        done = embedkit("zeroshot", *words)
        assert (done.status, done.out) == (2, "")
        return done.err

    assert "modality is not known: give --prompts" in refused("--model", clip, *data)
    assert "resnet50-v1 has no text tower" in refused("--model", "resnet50-v1", *data, "--prompts", prompts)
    prompts.write_text(PROMPTS.replace("red = ", "rot = "))
    assert "say nothing of 'red'" in refused("--model", clip, *data, "--prompts", prompts)
    prompts.write_text(PROMPTS.replace('"red"', '"green"'))
    assert "'green' and 'red' have the same text" in refused("--model", clip, *data, "--prompts", prompts)
    assert "cannot read the prompts" in refused("--model", clip, *data, "--prompts", "absent.toml")
    assert "Did you mean" in refused("--model", clip, *data, "--prompts", "fundu")


def test_a_long_prompt_says_how_much_was_cut(embedkit: Run, clip: str, images: Path, prompts: Path) -> None:
    prompts.write_text(PROMPTS.replace('"red"', '"red red red red red red red red red"'))
    words = ("zeroshot", "--model", clip, "--data", f"folder:{images}", "--prompts", prompts, "--replicates", 100)
    assert "longer than the 12 tokens" in embedkit(*words).out
