"""`few_shot`: who is learnt from and tuned on, the table, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import Settings, make_plan
from embedkit.probing.learning_curve import Amount
from embedkit.text import embed_classes
from embedkit.text.fewshot import METHODS, few_shot, run
from embedkit.text.fewshot.draws import draws_of, together
from tests.probing.making import clustered, split_of
from tests.text.fewshot.making import PROMPTS, a_tower

QUICK: dict[str, Any] = {"replicates": 40, "draws": 2}
TEXT_FREE = ("linear-probe", "prototypes")


def a_set(n: int = 300, classes: int = 3, val: bool = False, signal: float = 2.0, **how: Any) -> EmbeddingSet:
    X, y, groups = clustered(n=n, d=8, classes=classes, patients=150, signal=signal, **how)
    split = split_of(150)[groups]
    split = split if val else np.where(split == "val", "train", split)
    return EmbeddingSet.from_arrays(X, y, groups=groups, split=split)


def in_the_space_of(images: EmbeddingSet, space: str) -> EmbeddingSet:
    return replace(images, provenance={**images.provenance, "space": space})


@pytest.mark.parametrize("val", [False, True])
@pytest.mark.parametrize("amount", [Amount("shots", 1), Amount("shots", 6), Amount("fraction", 30)])
def test_no_group_is_learnt_from_and_tuned_on(amount: Amount, val: bool) -> None:
    plan = make_plan(a_set(val=val), None, Settings())
    groups, truth, fold = plan.train.groups, plan.train.labels.truth, plan.folds[0]
    draws = draws_of(plan, amount, 3, 0)
    assert len(draws) == 3
    for draw in draws:
        assert not set(groups[draw.train]) & set(groups[draw.val])
        assert set(draw.train) <= set(fold.train)
        if val:
            assert set(draw.val) <= set(fold.val if fold.val is not None else ())
        assert draw.test is fold.test
        if amount.kind == "shots":
            assert truth[draw.train].sum(axis=0).tolist() == [amount.size] * 3
            assert truth[draw.val].sum(axis=0).tolist() == [min(amount.size, 4)] * 3
    assert draws[0].train.tolist() != draws[1].train.tolist()


def test_draws_of_a_size_are_put_together() -> None:
    plan = make_plan(a_set(), None, Settings())
    draws = [*draws_of(plan, Amount("shots", 2), 3, 0), *draws_of(plan, Amount("shots", 3), 2, 0)]
    assert [len(some) for some in together(draws, 8)] == [3, 2]
    assert [len(some) for some in together(draws, 250_000_000)] == [1] * 5


def test_the_table_has_every_method_at_every_amount() -> None:
    images = a_set()
    result = few_shot(images, None, a_tower(), PROMPTS, shots=[1, 4], fractions=[100], **QUICK)
    assert [(p["method"], p["kind"], p["amount"]) for p in result.points] == [
        (name, kind, amount) for kind, amount in (("fraction", 100), ("shots", 1), ("shots", 4)) for name in METHODS
    ]
    for point in result.points:
        assert point["auc"]["low"] <= point["auc"]["value"] <= point["auc"]["high"]
        assert point["auc"]["value"] == pytest.approx(np.mean(point["each"]))
        assert len(point["each"]) == (1 if point["kind"] == "fraction" else 2)
        assert (point["difference"] is None) == (point["method"] == "linear-probe")
    by = {(p["method"], p["amount"]): p for p in result.points}
    for name in METHODS:
        assert by[name, 100]["auc"]["value"] > 0.7
        assert by[name, 100]["auc"]["value"] > by[name, 1]["auc"]["value"]
    for amount in (1, 4):
        difference = np.subtract(by["lp++", amount]["each"], by["linear-probe", amount]["each"])
        assert by["lp++", amount]["difference"]["value"] == pytest.approx(difference.mean())
    assert [p["amount"] for p in result.curves("shots")["lp++"]] == [1, 4]
    assert "learnt from the shots" in result.protocol["projection"]


def test_the_same_seed_gives_the_same_table_and_it_is_saved(tmp_path: Path) -> None:
    images = a_set()
    some = {"methods": ["text", "tip-adapter-f", "clip-adapter"], "shots": [2], **QUICK}
    one, two = (few_shot(images, None, a_tower(), PROMPTS, **some).to_dict() for _ in range(2))
    assert one == two
    result = few_shot(images, None, shots=[2], **QUICK)
    result.save(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["points"] == result.points
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbedkitError, match="can't be written"):
        result.save(tmp_path / "file" / "table.json")


def test_images_in_the_space_of_the_texts_are_told_apart_without_a_shot() -> None:
    tower = a_tower()
    images = a_set(classes=3)
    W = embed_classes(tower, ("0", "1", "2"), PROMPTS).W
    y = images.table["label"].to_numpy(int)
    near = replace(images, X=(W[y] + 0.5 * np.random.default_rng(0).normal(size=images.X.shape)).astype(np.float32))
    result = few_shot(in_the_space_of(near, tower.space), None, tower, PROMPTS, shots=[1], **QUICK)
    by = {point["method"]: point for point in result.points}
    assert result.protocol["projection"] is None
    assert by["text"]["deviation"] == 0.0
    assert by["text"]["auc"]["value"] > by["linear-probe"]["auc"]["value"]


def test_without_texts_only_methods_that_read_none() -> None:
    result = few_shot(a_set(), None, shots=[2], **QUICK)
    assert [point["method"] for point in result.points] == list(TEXT_FREE)
    with pytest.raises(EmbedkitError, match=r"'lp\+\+' reads texts of the classes: give a text encoder"):
        few_shot(a_set(), None, methods=["lp++"], shots=[2], **QUICK)


@pytest.mark.parametrize("split", [True, False])
def test_two_classes_and_folds_are_judged_as_a_probe_judges_them(split: bool) -> None:
    images = a_set(classes=2)
    images = images if split else replace(images, table=images.table.drop(columns="split"))
    some = ["linear-probe", "text", "tip-adapter"]
    result = few_shot(images, None, a_tower(), PROMPTS, methods=some, shots=[8], folds=3, **QUICK)
    assert all(point["auc"]["value"] > 0.7 for point in result.points)
    assert result.n_test == (len(images) if not split else (images.table["split"] == "test").sum())


def test_a_pair_that_met_the_labels_is_told() -> None:
    images = a_set()
    assert "what a few labels are worth" in few_shot(images, None, shots=[1], met=images.name, **QUICK).notes[-1]
    assert not few_shot(images, None, shots=[1], met="another set", **QUICK).notes


def test_what_takes_too_long_is_left_out_and_told_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MOST_OPERATIONS", 4.0 * 20 * 100**2 * a_set().X.shape[1])
    some = {"shots": [1], "fractions": [100], "cache": None, **QUICK}
    told: list[str] = []
    result = few_shot(a_set(), None, a_tower(), PROMPTS, tell=told.append, **some)
    held = {(point["method"], point["kind"]) for point in result.points}
    assert ("tip-adapter-f", "shots") in held
    assert ("tip-adapter-f", "fraction") not in held
    assert "tip-adapter-f" not in told[0]
    assert any("tip-adapter-f was left out at 100 % of the training images: with" in note for note in result.notes)
    asked = few_shot(a_set(), None, a_tower(), PROMPTS, methods=["tip-adapter-f"], **some)
    assert {point["kind"] for point in asked.points} == {"shots", "fraction"}
    assert not asked.notes


def test_more_shots_than_images_are_refused() -> None:
    with pytest.raises(EmbedkitError, match=r"90 shots are more than there are training images of '\d' \(\d+\)"):
        few_shot(a_set(), None, shots=[1, 90], **QUICK)


def test_nothing_left_to_tune_on_is_refused() -> None:
    X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    y, groups = [0, 0, 0, 1, 1, 1] * 2, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    images = EmbeddingSet.from_arrays(X, y, groups=groups, split=["train"] * 6 + ["test"] * 6)
    with pytest.raises(EmbedkitError, match=r"1 shots leave no images of other groups \(patients\) to tune on"):
        few_shot(images, None, shots=[1], **QUICK)
    with pytest.raises(EmbedkitError, match="100 % of the training images leave no images of other groups"):
        few_shot(images, None, fractions=[100], **QUICK)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(EmbedkitError, match=r"unknown method 'tip'.*tip-adapter"):
        few_shot(a_set(), None, methods=["tip"], shots=[1], **QUICK)
    with pytest.raises(EmbedkitError, match="give shots or fractions"):
        few_shot(a_set(), None, **QUICK)
    X, y, _ = clustered(n=60)
    labels = EmbeddingSet.from_arrays(X, np.eye(3)[y])
    with pytest.raises(EmbedkitError, match="labels that may hold together"):
        few_shot(labels, None, shots=[1], **QUICK)
