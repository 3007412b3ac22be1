"""``embedkit probe`` and ``embedkit show``: the table, the JSON, and the table again."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, write_images


def test_probe_extracts_what_is_missing_and_reports(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--classifier", "logistic",
                    "--classifier", "svm-linear", "--json")  # fmt: skip
    assert done.status == 0
    names = [(result["classifier"], result["n_train"], result["n_groups"]) for result in done.results]
    assert names == [("logistic", 32, 16), ("svm-linear", 32, 16)]
    for result in done.results:
        assert result["auc"]["low"] <= result["auc"]["value"] <= result["auc"]["high"]
        assert result["auc"]["value"] > 0.8
        assert result["protocol"]["group"] == "group"
        assert {
            "data",
            "test",
            "model",
            "key",
            "target",
            "per_class",
            "selected",
            "leakage",
            "baselines",
            "cost",
        } <= set(result)


def test_the_table_can_be_printed_again_from_the_saved_result(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}")
    table, _, saved = done.out.partition("saved: ")
    again = embedkit("show", saved.strip())
    assert again.status == 0
    assert again.out.strip() == table.strip()
    shown = embedkit("show", saved.strip(), "--json").results
    assert shown[0]["auc"] == json.loads(Path(saved.strip()).read_text())["auc"]


def test_probe_on_another_set(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    write_images(place / "unseen", {"red": (150, 90, 90), "green": (90, 150, 90)}, patients=3)
    done = embedkit(
        "probe", "--model", tiny_model, "--data", f"folder:{images}", "--test", f"folder:{place / 'unseen'}", "--json"
    )
    [result] = done.results
    assert (result["n_train"], result["n_test"]) == (32, 12)
    assert result["test"].startswith("folder-unseen")


def test_probe_works_from_the_cache_when_the_images_are_gone(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    before = embedkit(*words).results[0]
    images.rename(place / "elsewhere")
    done = embedkit(*words)
    assert "cached embeddings are taken as they are" in done.err
    assert done.results[0]["auc"] == before["auc"]


def test_failed_images_do_not_vanish_from_the_probe(embedkit: Run, tiny_model: str, images: Path) -> None:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    assert done.status == 1
    assert done.results[0]["n_train"] == 32
    assert "broken.png" in done.err
    assert "1 images of" in done.results[0]["notes"][0]
    assert "broken.png" in done.results[0]["notes"][0]
    assert embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--allow-failed", 1).status == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_command_gives_the_same_numbers(embedkit: Run, tiny_model: str, images: Path, seed: int) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}", "--seed", seed, "--json")
    one, two = embedkit(*words).results[0], embedkit(*words).results[0]
    for result in (one, two):
        del result["cost"]
    assert one == two
