"""`embedkit baseline`: a table or one JSON object, a saved result, and a sentence for what is wrong."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, write_images

TINY = ("--arch", "test_resnet", "--size", 32, "--epochs", 2, "--batch", 8, "--folds", 2, "--workers", 0)
CLASSES = {"benign": (200, 60, 60), "malignant": (60, 60, 200)}


@pytest.fixture
def images(place: Path) -> Path:
    write_images(place / "images", CLASSES, patients=6)
    return place / "images"


def test_train_prints_saves_and_exchanges(embedkit: Run, images: Path, tiny_model: str) -> None:
    done = embedkit("baseline", "train", "--data", f"folder:{images}", "--replicates", 100, *TINY)
    assert done.status == 0, done.err
    assert "timm-test_resnet" in done.out
    assert "multiply-adds" in done.out
    trained = Path(done.out.rpartition("saved: ")[2].strip())
    assert trained.is_file()
    assert "fold 2 of 2: epoch 2 of 2" in done.err

    probed = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--folds", 2, "--replicates", 100)
    assert probed.status == 0, probed.err
    assert "Beside a network trained on the same images" in probed.out
    probe = next(path for path in Path("results").rglob("*.json") if path != trained)
    exchanged = embedkit("baseline", "exchange", probe, trained)
    assert exchanged.status == 0, exchanged.err
    assert "difference of the AUCs on the 24 images that both judged" in exchanged.out
    as_json = embedkit("baseline", "exchange", probe, trained, "--json").results[0]
    assert as_json["ratios"]["wall_seconds"] > 0
    assert as_json["ratios"]["multiply_adds"] is None, "an ONNX graph is not counted"
    assert embedkit("show", trained).status == 0
    threefold = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--folds", 3)
    assert f"left aside: {trained} is of another protocol (2 folds" in threefold.err
    assert "Beside a network" not in threefold.out
    trained.write_text("{")
    probed = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--folds", 2, "--replicates", 100)
    assert probed.status == 0
    assert "left aside: " in probed.err
    assert "Beside a network" not in probed.out


def test_json_is_one_object_and_a_bad_image_is_an_exit_status(embedkit: Run, images: Path) -> None:
    next(images.rglob("*.png")).write_bytes(b"")
    words = ("baseline", "train", "--data", f"folder:{images}", "--json", *TINY)
    done = embedkit(*words)
    assert done.status == 1
    assert "failed: " in done.err
    result = json.loads(done.out)["results"][0]
    assert result["classifier"] == "trained"
    assert result["cost"]["multiply_adds"] > 0
    assert embedkit(*words, "--allow-failed", 1).status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--arch", "resnet81"), "Did you mean"),
        (("--lr", "7"), "no learning rate"),
        (("--weights", "absent.pt"), "absent.pt"),
        (("--precision", "fp8"), "bf16 or fp32"),
        (("--target", "stage"), "unknown target"),
    ],
)
def test_a_mistake_is_one_sentence(embedkit: Run, images: Path, words: tuple[str, ...], said: str) -> None:
    done = embedkit("baseline", "train", "--data", f"folder:{images}", *TINY, *words)
    assert done.status == 2
    assert said in done.err
    assert done.out == ""
