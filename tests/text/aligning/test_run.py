"""`align`: a projection that is judged as a probe, held-out classes, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import compare_to_best, probe
from embedkit.text import PromptSet, embed_classes
from embedkit.text.aligning import align
from embedkit.text.fewshot import few_shot
from tests.probing.making import clustered
from tests.text.fewshot.making import PROMPTS, a_tower
from tests.text.fewshot.test_run import a_set

QUICK: dict[str, Any] = {"replicates": 50}
TOWER = a_tower()


def turned_texts(classes: int = 4, noise: float = 0.15) -> EmbeddingSet:
    """Return images that are the texts of their classes, turned into another space."""
    rng = np.random.default_rng(0)
    W = embed_classes(TOWER, tuple(map(str, range(classes))), PROMPTS).W
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    y = rng.integers(classes, size=400)
    X = W[y] @ turn + noise * rng.normal(size=(400, 8))
    return EmbeddingSet.from_arrays(X, y, split=np.where(rng.random(400) < 0.7, "train", "test"))


@pytest.mark.parametrize("loss", ["cross-entropy", "textual", "contrastive"])
def test_it_is_judged_like_a_probe_on_the_same_images(loss: str) -> None:
    images = a_set(n=400)
    pair, result = align(images, None, TOWER, PROMPTS, loss=loss, **QUICK)
    probed = probe(images, **QUICK)
    assert (result.classifier, result.model, result.key) == ("aligned", "arrays+words", pair.key)
    assert result.predictions["id"].tolist() == probed.predictions["id"].tolist()
    assert result.auc["value"] > probed.auc["value"] - 0.05
    assert result.auc["low"] < result.auc["value"] < result.auc["high"]
    assert result.calibration["temperature"] > 0
    assert compare_to_best([probed, result])[0]["to"]
    assert result.protocol["alignment"]["class_texts"]["1"] == ["a photo of thing 1."]
    logits = pair.logits(images.X[images.table["split"] == "test"])
    shown = result.predictions[[f"score_{k}" for k in range(3)]].to_numpy()
    assert np.allclose(shown - shown[:, :1], logits - logits[:, :1], atol=1e-4)


def test_the_projection_depends_on_what_is_learnt_from_alone() -> None:
    images = a_set()
    judged = images.table["split"] == "test"
    pair, _ = align(images, None, TOWER, PROMPTS, **QUICK)
    label = images.table["label"].where(~judged, (images.table["label"] + 1) % 3)
    other, _ = align(replace(images, table=images.table.assign(label=label)), None, TOWER, PROMPTS, **QUICK)
    assert np.array_equal(pair.projection, other.projection)
    again, _ = align(images, None, TOWER, PROMPTS, **QUICK)
    assert (again.key, again.projection.tobytes()) == (pair.key, pair.projection.tobytes())
    assert align(images, None, TOWER, PROMPTS, loss="textual", **QUICK)[0].key != pair.key


def test_a_class_is_told_by_its_text_though_nothing_was_learnt_of_it() -> None:
    images = turned_texts()
    pair, result = align(images, None, TOWER, PROMPTS, hold_out=["2"], **QUICK)
    assert pair.facts["held_out"] == ["2"]
    assert len(pair.texts) == 4
    assert any("'2' were not learnt from" in note for note in result.notes)
    assert result.protocol["class_counts"]["train"]["2"] == 0
    # Only what its text shares with the others was learnt, but that is no coin.
    assert result.per_class[2]["auc"]["value"] > 0.6
    assert result.per_class[2]["n"] > 0
    unseen = images.table["label"] == 2
    moved = replace(images, X=np.where(unseen.to_numpy()[:, None], images.X[::-1], images.X))
    assert np.array_equal(align(moved, None, TOWER, PROMPTS, hold_out=["2"], **QUICK)[0].projection, pair.projection)


def test_over_folds_the_pair_learns_from_all_images() -> None:
    images = a_set()
    whole = replace(images, table=images.table.drop(columns="split"))
    pair, result = align(whole, None, TOWER, PROMPTS, folds=3, **QUICK)
    assert len(result.selected["step"]) == 3
    assert result.n_test == len(whole)
    unit = whole.X / np.linalg.norm(whole.X, axis=1, keepdims=True)
    assert np.abs(pair.mean - unit.mean(axis=0)).max() < 0.1


def test_an_aligned_set_can_be_probed_where_an_encoder_can() -> None:
    images = turned_texts()
    pair, result = align(images, None, TOWER, PROMPTS, **QUICK)
    probed = probe(pair.apply(images), **QUICK)
    assert probed.model == "aligned-arrays-words"
    assert probed.auc["value"] > result.auc["value"] - 0.02


def test_another_set_is_judged() -> None:
    images = a_set()
    other = replace(a_set(seed=1), provenance={**images.provenance, "name": "other"})
    _, result = align(images, other, TOWER, PROMPTS, **QUICK)
    assert (result.data, result.test) == ("arrays", "other")


def test_texts_that_were_cut_are_told() -> None:
    long = PromptSet.from_table(
        {"templates": ["a photo of {}" + ", indeed" * 40], "classes": {str(k): f"thing {k}" for k in range(3)}}, "long"
    )
    _, result = align(a_set(), None, TOWER, long, **QUICK)
    assert "3 prompts are longer than the 32 tokens that words reads" in result.notes[-1]
    few = few_shot(a_set(), None, TOWER, long, methods=["text"], shots=[1], draws=2, **QUICK)
    assert "3 prompts are longer than the 32 tokens" in few.notes[-1]


def test_what_makes_no_sense_is_refused() -> None:
    images = a_set()
    with pytest.raises(EmbedkitError, match=r"unknown loss 'contrast'.*contrastive"):
        align(images, None, TOWER, PROMPTS, loss="contrast", **QUICK)
    with pytest.raises(EmbedkitError, match=r"unknown class '7'.*There are 0, 1, 2"):
        align(images, None, TOWER, PROMPTS, hold_out=["7"], **QUICK)
    with pytest.raises(EmbedkitError, match="fewer than two classes are left"):
        align(images, None, TOWER, PROMPTS, hold_out=["0", "1"], **QUICK)
    X, y, _ = clustered(n=60)
    with pytest.raises(EmbedkitError, match="labels that may hold together"):
        align(EmbeddingSet.from_arrays(X, np.eye(3)[y]), None, TOWER, PROMPTS, **QUICK)
    split = ["train"] * 4 + ["test"] * 4
    one_group = EmbeddingSet.from_arrays(X[:8], [0, 0, 1, 1] * 2, groups=[1, 1, 2, 2, 3, 3, 4, 4], split=split)
    with pytest.raises(EmbedkitError, match="no validation images are left"):
        align(one_group, None, TOWER, PROMPTS, **QUICK)


def test_a_pair_is_of_single_images() -> None:
    with pytest.raises(EmbedkitError, match="leave views out"):
        align(a_set(), None, TOWER, PROMPTS, views="view", level="group", **QUICK)


@pytest.mark.parametrize(("grid", "told"), [((0.0, 0.1), False), ((0.1,), True)])
def test_a_penalty_at_the_end_of_the_grid_is_told(
    grid: tuple[float, ...], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedkit.text.aligning.projection.PENALTIES", grid)
    # Without noise no penalty can rank better than none.
    _, result = align(turned_texts(noise=0.05), None, TOWER, PROMPTS, **QUICK)
    assert result.selected["penalty"] == grid[0]
    assert any("the largest of the grid" in note for note in result.notes) == told
