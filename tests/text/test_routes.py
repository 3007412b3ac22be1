"""Few-shot methods and `compare` in the one space of a real CLIP, on real images that it has not seen."""

from pathlib import Path
from typing import Any

import pytest

import embedkit as ek
from embedkit import saved
from embedkit.comparing import Comparison
from embedkit.text.fewshot import FewShotResult
from tests.text.tiny_clip import TinyClip

HOW: dict[str, Any] = {"precision": "fp32", "replicates": 200}
WORDS: dict[str, Any] = {"prompts": "dermoscopy", **HOW}
METHODS = ("text", "tip-adapter", "tip-adapter-f", "clip-adapter", "lp++")


@pytest.fixture(scope="module")
def kept(clip: TinyClip, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the CLIP's embeddings of its 56 unseen skin images."""
    folder = tmp_path_factory.mktemp("cache")
    ek.extract(clip.spec, f"csv:{clip.skin}", root=data_root, cache=folder, precision="fp32", workers=0)
    return folder


@pytest.fixture(scope="module")
def table(clip: TinyClip, kept: Path, data_root: Path) -> FewShotResult:
    how = {"cache": kept, "root": data_root, "workers": 0, **WORDS}
    return ek.few_shot(f"csv:{clip.skin}", model=clip.spec, shots=[2], folds=2, draws=2, **how)


def test_every_method_starts_from_the_clips_own_texts(table: FewShotResult) -> None:
    assert table.protocol["projection"] is None
    by = {point["method"]: point for point in table.points}
    assert set(METHODS) < set(by)
    # Zero-shot is the same whatever was drawn, and well above chance; no adapter loses it.
    assert by["text"]["deviation"] == 0.0
    assert by["text"]["auc"]["value"] > 0.65
    for name in METHODS:
        assert by[name]["auc"]["value"] > by["text"]["auc"]["value"] - 0.05
        assert by[name]["auc"]["low"] > 0.5


@pytest.fixture(scope="module")
def compared(clip: TinyClip, kept: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    results = tmp_path_factory.mktemp("results")
    how = {"cache": kept, "root": data_root, "workers": 0, **HOW}
    # What a network is worth after one epoch at 32 pixels is not asked, only that it stands beside the rest.
    trained = ek.train_baseline(
        "resnet18",
        f"csv:{clip.skin}",
        cache=kept,
        root=data_root,
        workers=0,
        recipe={"size": 32, "epochs": 1},
        folds=2,
        replicates=200,
    )
    trained.save(saved.place_of(trained, results))
    choices = {"results": results, "prompts": "dermoscopy", "shots": (1,), "folds": 2, **how}
    return ek.compare(f"csv:{clip.skin}", model=clip.spec, **choices)


def test_all_routes_are_judged_on_the_same_real_images(
    compared: Comparison, clip: TinyClip, kept: Path, data_root: Path
) -> None:
    found = {one.classifier: one for one in compared.results}
    assert {"logistic", "aligned", "zero-shot"} < set(found)
    assert len(found) == 4, "and the trained network"
    assert {one.n_test for one in compared.results} == {56} == {compared.few_shot.n_test}
    assert not compared.notes
    alone = ek.zero_shot(f"csv:{clip.skin}", model=clip.spec, cache=kept, root=data_root, workers=0, **WORDS)
    assert found["zero-shot"].auc == alone.auc
