"""Zero-shot against its formula and scikit-learn, on vectors that are told by hand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, roc_auc_score

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import ProbeResult, Settings, make_plan, plan_untrained
from embedkit.text import embed_classes, zero_shot
from embedkit.text.prompts import PromptSet
from tests.text.making import SCALE, Counted, around, images, vector

WORDS = {"a": "apples", "b": "bears", "c": "cats"}
PROMPTS = PromptSet.from_table({"templates": ["a photo of {}.", "{} it is."], "classes": WORDS}, "mine")
QUICK = {"replicates": 50}


def _three(noise: float = 2.0) -> EmbeddingSet:
    X, y = around([f"a photo of {word}." for word in WORDS.values()], noise=noise)
    return images(X, np.array(list(WORDS))[y], groups=np.arange(len(y)) // 2)


def _unit(X: np.ndarray) -> np.ndarray:
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def _logits(one: EmbeddingSet, W: np.ndarray) -> np.ndarray:
    return SCALE * _unit(one.X.astype(float)) @ W.T


def test_three_classes_by_hand() -> None:
    one = _three()
    result = zero_shot(one, Counted().tower, PROMPTS, **QUICK)
    texts = embed_classes(Counted().tower, list(WORDS), PROMPTS)
    p = softmax(_logits(one, texts.W), axis=1)
    truth = one.table["label"].to_numpy()
    assert result.auc["value"] == pytest.approx(roc_auc_score(truth, p, multi_class="ovr"), abs=1e-9)
    assert result.accuracy["value"] == pytest.approx(accuracy_score(truth, np.array(list(WORDS))[p.argmax(axis=1)]))
    held = truth[:, None] == np.array(list(WORDS))
    assert result.calibration["brier"]["value"] == pytest.approx(((p - held) ** 2).sum(axis=1).mean())
    assert result.calibration["temperature"] == 1
    assert result.calibration["ece"]["low"] <= result.calibration["ece"]["value"]
    assert (result.classifier, result.n_train, result.n_test, result.n_groups) == ("zero-shot", 0, 90, 45)
    assert 0.6 < result.auc["low"] < result.auc["value"] < result.auc["high"] < 1


def test_per_template_results_are_those_of_the_template_alone() -> None:
    one = _three()
    result = zero_shot(one, Counted().tower, PROMPTS, **QUICK)
    rows = result.wording["templates"]
    for template, row in zip(PROMPTS.templates, rows, strict=True):
        alone = PromptSet.from_table({"templates": [template], "classes": WORDS}, "alone")
        wanted = zero_shot(one, Counted().tower, alone, **QUICK)
        assert row["template"] == template
        assert row["auc"] == wanted.auc
        for end in ("value", "low", "high"):
            assert row["ece"][end] == pytest.approx(wanted.calibration["ece"][end], abs=1e-12)
    values = [row["auc"]["value"] for row in rows]
    spread = result.wording["spread"]["auc"]
    assert (spread["lowest"], spread["highest"]) == (min(values), max(values))
    assert spread["deviation"] == pytest.approx(np.std(values, ddof=1))
    # The images lie around the first template's texts, so the wording matters.
    assert values[0] > values[1]


def test_two_classes_are_ranked_by_the_difference() -> None:
    X, y = around(["a photo of apples.", "a photo of bears."], noise=3.0)
    one = images(X, np.array(["a", "b"])[y])
    result = zero_shot(one, Counted().tower, PROMPTS, **QUICK)
    logits = _logits(one, embed_classes(Counted().tower, ["a", "b"], PROMPTS).W)
    p = softmax(logits, axis=1)[:, 1]
    assert result.auc["value"] == pytest.approx(roc_auc_score(y, p))
    assert result.accuracy["value"] == pytest.approx(((p > 0.5) == y).mean())
    assert result.calibration["brier"]["value"] == pytest.approx(((p - y) ** 2).mean())
    # Either column alone ranks otherwise.
    assert roc_auc_score(y, logits[:, 1]) != pytest.approx(result.auc["value"], abs=1e-4)


def test_labels_that_may_hold_together_are_set_against_their_absence() -> None:
    X, y = around(["a photo of apples.", "a photo of bears."], noise=2.0)
    held = pd.DataFrame({"a": (y == 0).astype(int), "b": (y == 1).astype(int)})
    held.loc[:4, "b"] = np.nan
    one = images(X, held)
    result = zero_shot(one, Counted().tower, PROMPTS, **QUICK)
    texts = embed_classes(Counted().tower, ["a", "b"], PROMPTS, absent=True)
    pairs = np.stack([_logits(one, texts.absent), _logits(one, texts.W)])
    p = softmax(pairs, axis=0)[1]
    known = held["b"].notna().to_numpy()
    wanted = np.mean([roc_auc_score(held["a"], p[:, 0]), roc_auc_score(held["b"][known], p[known, 1])])
    assert result.auc["value"] == pytest.approx(wanted)
    brier = np.mean([((p[:, 0] - held["a"]) ** 2).mean(), ((p[known, 1] - held["b"][known]) ** 2).mean()])
    assert result.calibration["brier"]["value"] == pytest.approx(brier)
    assert result.protocol["multilabel"] is True


def test_the_judged_images_are_those_of_a_probe() -> None:
    one = _three()
    split = np.array(["train", "test", "val"])[np.arange(len(one)) % 3]
    split_set = EmbeddingSet(one.X, one.table.assign(split=split), one.provenance)
    settings = Settings()
    for each in (split_set, one):
        probed = np.concatenate([fold.test for fold in make_plan(each, None, settings).folds])
        [fold] = plan_untrained(each, settings).folds
        assert sorted(probed) == sorted(fold.test)
        assert not len(fold.fitted())
    assert zero_shot(split_set, Counted().tower, PROMPTS, **QUICK).n_test == 30


def test_a_set_with_nothing_but_test_images_is_judged() -> None:
    one = _three()
    only = EmbeddingSet(one.X, one.table.assign(split="test"), one.provenance)
    assert zero_shot(only, Counted().tower, PROMPTS, **QUICK).n_test == 90


def test_towers_that_do_not_belong_together_are_refused() -> None:
    one = _three()
    with pytest.raises(EmbedkitError, match=r"the spaces differ.*arrays.*by hand.*align"):
        zero_shot(one, Counted(weights="1").tower, PROMPTS)
    pooled = {**one.provenance["configuration"]["encoder"], "output": "pooled"}
    other = EmbeddingSet(one.X, one.table, {**one.provenance, "configuration": {"encoder": pooled}})
    with pytest.raises(EmbedkitError, match="the spaces differ"):
        zero_shot(other, Counted().tower, PROMPTS)
    arrays = EmbeddingSet.from_arrays(one.X, one.table["label"])
    with pytest.raises(EmbedkitError, match=r"the spaces differ.*\(unknown\)"):
        zero_shot(arrays, Counted().tower, PROMPTS)


def test_settings_of_training_are_refused() -> None:
    with pytest.raises(EmbedkitError, match="there is no shots to choose"):
        zero_shot(_three(), Counted().tower, PROMPTS, shots=(1, 2))


def test_one_class_can_not_be_judged() -> None:
    X, _ = around(["a photo of apples."])
    with pytest.raises(EmbedkitError, match="one class of the target"):
        zero_shot(images(X, ["a"] * len(X)), Counted().tower, PROMPTS)


def test_a_vector_without_direction_is_refused() -> None:
    one = _three()
    one.X[3] = 0
    with pytest.raises(EmbedkitError, match="no direction"):
        zero_shot(one, Counted().tower, PROMPTS, **QUICK)


def test_what_was_cut_or_left_out_is_a_note() -> None:
    rows = {label: {"name": word, "description": "red"} for label, word in WORDS.items()} | {"c": "cats"}
    templates = ["a photo of {}.", "{}", "{}, {description}"]
    prompts = PromptSet.from_table({"templates": templates, "classes": rows}, "mine")
    result = zero_shot(_three(), Counted(context=3).tower, prompts, **QUICK)
    [cut] = [note for note in result.notes if "cut" in note]
    assert "3 prompts are longer than the 3 tokens" in cut
    assert "by 1 tokens" in cut
    assert any("1 of the templates of mine were left out" in note for note in result.notes)
    assert len(result.wording["cut"]) == 3


def test_a_result_is_saved_and_read_like_a_probes(tmp_path) -> None:
    result = zero_shot(_three(), Counted().tower, PROMPTS, by=("group",), **QUICK)
    result.save(tmp_path / "r.json")
    again = ProbeResult.load(tmp_path / "r.json")
    assert again.to_dict() == result.to_dict()
    assert not any("both sides" in note for note in result.notes)


def test_images_of_a_patient_are_judged_as_one() -> None:
    result = zero_shot(_three(), Counted().tower, PROMPTS, level="group", **QUICK)
    assert (result.n_test, result.level) == (45, "group")
    assert result.auc["value"] > zero_shot(_three(), Counted().tower, PROMPTS, **QUICK).auc["value"]


def test_the_texts_vector_is_the_best_image_of_its_class() -> None:
    X = np.stack([vector(f"a photo of {word}.") + vector(f"{word} it is.") for word in WORDS.values()])
    result = zero_shot(images(np.tile(X, (3, 1)), [*WORDS] * 3), Counted().tower, PROMPTS, **QUICK)
    assert result.accuracy["value"] == 1


@pytest.mark.parametrize(("pool", "reduced"), [("embeddings", np.mean), ("embeddings-max", np.max)])
def test_embeddings_of_a_group_are_pooled_as_a_probe_pools_them(pool: str, reduced: Callable[..., np.ndarray]) -> None:
    one = _three()
    # Two images of a group are of one class, as those of a lesion are.
    order = np.lexsort([one.table["label"]])
    one = images(one.X[order], one.table["label"].to_numpy()[order], groups=np.arange(90) // 2)
    result = zero_shot(one, Counted().tower, PROMPTS, level="group", pool=pool, **QUICK)
    pairs = reduced(np.asarray(one.X, np.float32).reshape(45, 2, -1), axis=1)
    W = embed_classes(Counted().tower, list(WORDS), PROMPTS).W
    p = softmax(SCALE * _unit(pairs.astype(float)) @ W.T, axis=1)
    truth = one.table["label"].to_numpy()[::2]
    assert (result.n_test, result.n_groups) == (45, 45)
    assert result.auc["value"] == pytest.approx(roc_auc_score(truth, p, multi_class="ovr"), abs=1e-6)


def test_views_are_in_no_texts_space() -> None:
    with pytest.raises(EmbedkitError, match="no views to choose"):
        zero_shot(_three(), Counted().tower, PROMPTS, views="view", level="group", **QUICK)
