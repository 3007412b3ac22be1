"""Parts are drawn by group, shots of as many patients as there are, and the curve ends at the whole probe."""

from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import probe
from embedkit.probing.heads.classifiers import CentroidHead
from embedkit.probing.learning_curve import Amount, of_draws, over_draws, part_of
from embedkit.probing.plan import make_plan
from embedkit.probing.sample import Sample
from embedkit.probing.settings import Settings
from embedkit.probing.splits import Fold
from tests.probing.making import QUICK, Counted, a_set, clustered, split_of


def plan_of(y: Any, groups: Any, split: Any) -> tuple[Sample, Fold]:
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    plan = make_plan(EmbeddingSet.from_arrays(X, y, groups=groups, split=split), None, Settings())
    return plan.train, plan.folds[0]


def a_plan(val: bool = False) -> tuple[Sample, Fold]:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 3)
    y = (rng.random(100) < 0.3).astype(int)[groups]
    kinds = np.where(np.arange(100) % 5 == 0, "test", np.where((np.arange(100) % 5 == 1) & val, "val", "train"))
    return plan_of(y, groups, kinds[groups])


def test_a_fraction_takes_whole_groups_of_every_class() -> None:
    sample, fold = a_plan()
    part = part_of(sample, fold, Amount("fraction", 10), 0, 0, 0)
    assert set(part.train) < set(fold.train)
    counts = np.unique(sample.groups[part.train], return_counts=True)[1]
    assert (counts == 3).all()
    assert len(counts) == pytest.approx(8, abs=1)
    assert sample.labels.truth[part.train].any(axis=0).all()
    assert part.test is fold.test
    assert part.val is None


def test_a_fraction_of_one_percent_still_has_every_class() -> None:
    sample, fold = a_plan()
    part = part_of(sample, fold, Amount("fraction", 1), 0, 0, 0)
    assert len(np.unique(sample.groups[part.train])) == 2
    assert sample.labels.truth[part.train].any(axis=0).all()


@pytest.mark.parametrize("val", [False, True])
@pytest.mark.parametrize("shots", [1, 3, 8])
def test_shots_are_so_many_of_each_class_each_of_another_group(shots: int, val: bool) -> None:
    sample, fold = a_plan(val)
    part = part_of(sample, fold, Amount("shots", shots), 0, 0, 0)
    assert sample.labels.truth[part.train].sum(axis=0).tolist() == [shots, shots]
    assert len(np.unique(sample.groups[part.train])) == 2 * shots
    assert part.val is not None
    assert sample.labels.truth[part.val].sum(axis=0).tolist() == [min(shots, 4)] * 2
    assert not set(sample.groups[part.val]) & set(sample.groups[part.train])
    source = fold.train if fold.val is None else fold.val
    assert set(part.val) <= set(source)


def test_draws_differ_and_are_the_same_again() -> None:
    sample, fold = a_plan()
    first, second = (part_of(sample, fold, Amount("shots", 4), 0, draw, 0).train.tolist() for draw in (0, 1))
    assert first != second
    assert part_of(sample, fold, Amount("shots", 4), 0, 0, 0).train.tolist() == first
    assert part_of(sample, fold, Amount("shots", 4), 1, 0, 0).train.tolist() != first


def test_more_shots_than_groups_take_further_images_of_a_group() -> None:
    sample, fold = plan_of(
        [0] * 6 + [1] * 6 + [0, 1], [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6], ["train"] * 12 + ["test"] * 2
    )
    part = part_of(sample, fold, Amount("shots", 4), 0, 0, 0)
    assert sample.labels.truth[part.train].sum(axis=0).tolist() == [4, 4]
    per_group = np.unique(sample.groups[part.train], return_counts=True)[1]
    assert per_group.tolist() == [2, 2, 2, 2]
    assert part.val is None


def test_the_curve_rises_to_the_whole_probe() -> None:
    X, y, groups = clustered(n=400, classes=2, patients=200, signal=1.2)
    split = np.where(groups % 3 == 0, "test", "train")
    source = EmbeddingSet.from_arrays(X, y, groups=groups, split=split)
    result = probe(source, classifier="lda", fractions=[5, 100], shots=[1, 16], draws=6, replicates=100)
    points = {(point["kind"], point["amount"]): point for point in result.learning_curve["points"]}
    assert list(points) == [("fraction", 5), ("fraction", 100), ("shots", 1), ("shots", 16)]
    whole = points["fraction", 100]
    assert whole["auc"]["value"] == pytest.approx(result.auc["value"], abs=1e-12)
    assert (whole["deviation"], len(whole["each"])) == (None, 1)
    assert points["fraction", 5]["auc"]["value"] < whole["auc"]["value"]
    assert points["shots", 1]["auc"]["value"] < points["shots", 16]["auc"]["value"]
    assert points["shots", 16]["n_train"] == 32
    for point in points.values():
        assert point["auc"]["value"] == pytest.approx(np.mean(point["each"]))
        assert point["auc"]["low"] < point["auc"]["value"] < point["auc"]["high"]
        assert len(point["each"]) in (1, 6)


def test_more_shots_than_images_are_refused_before_anything_is_fitted() -> None:
    X, y, groups = clustered(n=60, classes=2)
    split = np.where(np.arange(60) % 2, "test", "train")
    told = Counted()
    with pytest.raises(EmbedkitError, match=r"64 shots are more than there are training images of '[01]' \(\d+\)"):
        probe(EmbeddingSet.from_arrays(X, y, groups=groups, split=split), shots=[1, 64], progress=told, **QUICK)
    assert told.total == 0


def test_labels_that_may_hold_together_get_shots_of_both_sides() -> None:
    X, _, groups = clustered(n=300, patients=150)
    Y = (X[:, :2] > 0.8).astype(float)
    split = np.where(groups % 3 == 0, "test", "train")
    source = EmbeddingSet.from_arrays(X, Y, groups=groups, split=split)
    plan = make_plan(source, None, Settings())
    part = part_of(plan.train, plan.folds[0], Amount("shots", 2), 0, 0, 0)
    truth = plan.train.labels.truth[part.train]
    assert (truth.sum(axis=0) >= 2).all()
    assert ((1 - truth).sum(axis=0) >= 2).all()
    assert len(part.train) <= 8
    assert probe(source, classifier="lda", shots=[8], **QUICK).learning_curve["points"][0]["auc"]["value"] > 0.6


@pytest.mark.filterwarnings("error")
def test_replicates_without_a_value_are_left_out() -> None:
    replicates = np.array([[0.5, np.nan, 0.7], [0.6, np.nan, np.nan]])
    found = over_draws([0.5, 0.6], replicates, seed=0)
    assert found["value"] == pytest.approx(0.55)
    assert 0.5 <= found["low"] <= found["high"] <= 0.7
    assert over_draws([0.5], np.full((1, 4), np.nan), seed=0)["low"] is None
    some = of_draws([0.5, np.nan, 0.7], np.full((3, 4), 0.6), seed=0)
    assert (some["auc"]["value"], some["each"]) == (pytest.approx(0.6), [0.5, None, 0.7])
    assert some["deviation"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    none = of_draws([np.nan, np.nan], np.full((2, 4), np.nan), seed=0)
    assert (none["auc"]["value"], none["deviation"], none["each"]) == (None, None, [None, None])


def test_shots_are_drawn_of_a_class_that_only_validation_images_hold() -> None:
    y = np.repeat([0, 0, 1, 0, 1], 20)
    X = np.random.default_rng(0).normal(size=(100, 4)) + y[:, None]
    points = []
    for validation in ("val", "train"):
        split = np.repeat(["train", validation, validation, "test", "test"], 20)
        source = EmbeddingSet.from_arrays(X, y, split=split)
        points.append(probe(source, classifier="centroid", shots=[4], **QUICK).learning_curve["points"])
    assert points[0] == points[1]
    assert points[0][0]["n_train"] == 8


def test_a_shot_is_one_image_of_a_class_that_is_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[int] = []
    plain = CentroidHead.learn

    def counted(self: CentroidHead, X: np.ndarray, truth: np.ndarray, *rest: Any) -> Any:
        learnt.append(int(truth.sum(axis=0).max()))
        return plain(self, X, truth, *rest)

    monkeypatch.setattr(CentroidHead, "learn", counted)
    source = a_set(n=300, classes=2, split=split_of(300))
    curve = probe(source, classifier="centroid", shots=[1, 4], fractions=[50], draws=2, replicates=20).learning_curve
    assert [images for images in learnt if images < 10] == [1, 1, 4, 4]
    assert [point["n_train"] for point in curve["points"] if point["kind"] == "shots"] == [2, 8]
    [half] = [point["n_train"] for point in curve["points"] if point["kind"] == "fraction"]
    assert half == pytest.approx((split_of(300) != "test").sum() / 2, abs=25)
