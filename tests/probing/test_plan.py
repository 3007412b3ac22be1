"""Which protocol is taken, and what is refused before anything is fitted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import probe
from embedkit.probing.plan import Plan, make_plan
from embedkit.probing.settings import Settings


def made(y: Any, split: Any = None, groups: Any = None, name: str = "here", seed: int = 0, d: int = 3) -> EmbeddingSet:
    X = np.random.default_rng(seed).normal(size=(len(y), d))
    return EmbeddingSet.from_arrays(X, y, split=split, groups=groups, name=name)


def plan_of(train: EmbeddingSet, test: EmbeddingSet | None = None, group: str | None = None, folds: int = 5) -> Plan:
    return make_plan(train, test, Settings(group=group, folds=folds))


THREE = ["train", "train", "train", "train", "test", "test"]


def test_the_protocol_follows_what_is_there() -> None:
    y = list("ababab")
    assert plan_of(made(y, THREE)).kind == "published"
    assert plan_of(made(y), folds=3).kind == "folds"
    assert plan_of(made(y, THREE), made(y, seed=1, name="there")).kind == "other set"
    one_sided = plan_of(made(y, ["test"] * 6), folds=3)
    assert one_sided.kind == "folds"
    assert one_sided.notes == ("here names no training images, so all of its images are judged by folds",)


def test_rows_outside_the_split_are_left_out_with_their_classes() -> None:
    plan = plan_of(made([*list("ababab"), "odd"], [*THREE, None]))
    assert plan.train.labels.classes == ("a", "b")
    assert len(plan.train) == 6
    assert plan.notes == ("1 images of here are in no split and were left out",)


def test_a_class_of_training_that_no_test_image_has_is_noted() -> None:
    plan = plan_of(made(["a", "b", "c", "b", "a", "b"], THREE))
    assert plan.notes == ("'c' has no positive test image, so it has no AUC",)


def test_a_class_of_validation_only_is_learnt_in_the_end() -> None:
    plan = plan_of(made(list("abcabac"), ["train", "train", "val", "val", "train", "test", "test"]))
    assert plan.train.labels.classes == ("a", "b", "c")
    assert plan.folds[0].val is not None
    assert (
        "no training image holds 'c', and validation images do: the parameter was chosen and probabilities were "
        "calibrated without it"
    ) in plan.notes


@pytest.mark.parametrize(
    ("y", "why"),
    [
        ("aaaabbab", "the training images are of one class"),
        ("ababbbab", "no class has both sides among the validation images"),
    ],
)
def test_where_validation_images_can_choose_nothing_folds_of_all_do(y: str, why: str) -> None:
    split = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    source = made([*(list(y) * 10)], split * 10)
    plan = plan_of(source)
    [fold] = plan.folds
    assert (fold.train.tolist(), fold.val) == (np.flatnonzero(np.array(split * 10) != "test").tolist(), None)
    assert any(note.startswith(f"{why}, so nothing can be chosen on the validation images") for note in plan.notes)
    result = probe(source, classifier="logistic", replicates=20)
    assert result.selected["chosen_by"] == "5 grouped stratified folds of the training images"
    assert len(result.selected["scores"]) == len(result.selected["grid"])
    assert set(plan.notes) <= set(result.notes)


def test_a_side_of_a_label_of_validation_only_is_told() -> None:
    Y = np.array([[0, 1], [0, 0], [1, 1], [0, 0], [1, 1], [0, 0]])
    plan = plan_of(made(Y, ["train", "train", "val", "val", "test", "test"]))
    assert [note for note in plan.notes if note.startswith("no training image holds 'label:0'")]


@pytest.mark.parametrize(
    ("y", "split", "message"),
    [
        (
            ["a", "b", "a", "b", "c", "c"],
            THREE,
            "2 test images hold 'c' of the target 'label' and no training image",
        ),
        (["a"] * 6, THREE, "all 4 training images are of one class of the target 'label', 'a': a classifier needs two"),
        (["a"] * 6, None, "all 6 training images are of one class"),
        (["a", "a", "a", "a", "b", "a"], THREE, "all 4 training images are of one class"),
        (["a", "b", "a", "b", "b", "b"], THREE, "all 2 test images are of one class of the target 'label'"),
        (list("abcdef"), None, "which is not so for the class 'a', the class 'b'"),
        (["a", None, None, None, None, None], None, "all 1 training images are of one class"),
        ([None] * 6, None, "no image has a label"),
        ([], None, "no image has a label"),
    ],
)
def test_labels_that_permit_no_judgement_are_refused(y: list[str], split: Any, message: str) -> None:
    with pytest.raises(EmbedkitError, match=message):
        plan_of(made(np.array(y, object), split))


def test_a_label_that_no_training_image_holds_is_refused_if_it_is_judged_and_noted_if_not() -> None:
    Y = np.array([[0, 1], [0, 0], [0, 1], [0, 0], [1, 0], [0, 1]], float)
    with pytest.raises(EmbedkitError, match="1 test images hold 'label:0' of the target 'label' and no training image"):
        plan_of(made(Y, THREE))
    with pytest.raises(EmbedkitError, match="1 test images do not hold 'label:0'"):
        plan_of(made(np.column_stack([1 - Y[:, 0], Y[:, 1]]), THREE))
    Y[4, 0] = 0
    assert plan_of(made(Y, THREE)).notes == ("'label:0' has no positive test image, so it has no AUC",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "0123"}, "extract both with the same model, weights and precision"),
        ({"encoder": "clip-vit-b16"}, "those of there by clip-vit-b16"),
    ],
)
def test_vectors_of_another_encoder_are_refused(changes: dict[str, str], message: str) -> None:
    train, test = made(list("abab")), made(list("abab"), seed=1, name="there")
    with pytest.raises(EmbedkitError, match=message):
        plan_of(train, replace(test, provenance={**test.provenance, **changes}))


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(EmbedkitError, match="have 3 dimensions and those of there 4"):
        plan_of(made(list("abab")), made(list("abab"), d=4, name="there"))


def test_the_training_set_is_no_test_set() -> None:
    with pytest.raises(EmbedkitError, match="the test set there is the training set"):
        plan_of(made(list("abab")), made(list("abab"), name="there"))


def test_classes_of_another_set_must_be_known() -> None:
    with pytest.raises(EmbedkitError, match=r"classes that no training image has: 'z' \(2 images\)"):
        plan_of(made(list("abab")), made(list("zabz"), seed=1))
    plan = plan_of(made(list("abcabc")), made(list("abab"), seed=1))
    assert plan.test.labels.classes == ("a", "b", "c")
    assert "'c' has no positive test image, so it has no AUC" in plan.notes


def test_labels_of_another_set_must_be_the_same() -> None:
    Y = np.array([[0, 1], [1, 0], [0, 1], [1, 0]], float)
    with pytest.raises(EmbedkitError, match="judge on a set that has the same labels"):
        plan_of(made(Y), made(list("abab"), seed=1))
    with pytest.raises(EmbedkitError, match="judge on a set that has the same labels"):
        plan_of(made(Y), made(np.column_stack([Y, Y[:, 0]]), seed=1))
    turned = made(Y[:, ::-1], seed=1)
    turned.provenance["dataset"]["targets"]["label"] = ["label:1", "label:0"]
    plan = plan_of(made(Y), turned)
    np.testing.assert_array_equal(plan.test.labels.truth, turned.table[["label:0", "label:1"]])


def test_the_only_target_of_another_set_is_taken_under_another_name_and_said() -> None:
    test = made(list("abab"), seed=1, name="there")
    test.provenance["dataset"]["targets"] = {"dx": ["label"]}
    assert plan_of(made(list("abab")), test).notes == ("the target 'label' of here is taken to be 'dx' of there",)
    test.provenance["dataset"]["targets"]["sex"] = ["label"]
    with pytest.raises(EmbedkitError, match="unknown target 'label'"):
        plan_of(made(list("abab")), test)


def test_a_group_column_that_the_other_set_lacks_is_noted() -> None:
    train = made(list("abab"))
    train.table["eye"] = [1, 1, 2, 2]
    plan = plan_of(train, made(list("abab"), seed=1, name="there"), group="eye")
    assert plan.notes == ("there has no column 'eye': its images are resampled by its own groups",)


def test_groups_that_permit_no_folds_are_refused() -> None:
    # Both classes in two groups, and every cut leaves a training part with one class.
    y, groups = ["a", "a", "b", "b"], [1, 2, 1, 2]
    assert plan_of(made(y, groups=groups)).folds[0].train.tolist() in ([0, 2], [1, 3])
    # Every patient has two of the three classes: one fold of three always takes all of one class away.
    with pytest.raises(EmbedkitError, match=r"not so for|can't be cut"):
        plan_of(made(list("aabbcc"), groups=[1, 1, 2, 2, 3, 3]))


def with_sites(sites: list[Any], y: str | np.ndarray = "abababab", **columns: Any) -> EmbeddingSet:
    source = made(list(y), **columns)
    return replace(source, table=source.table.assign(site=np.array(sites, object)))


def test_each_site_is_held_out_in_turn_and_patients_of_two_sites_are_not_learnt_from() -> None:
    source = with_sites(["x", "x", "y", "y", "z", "z", "z", None], groups=[1, 2, 3, 4, 5, 6, 1, 8])
    plan = make_plan(source, None, Settings(sites="site"))
    assert plan.kind == "sites"
    assert [fold.test.tolist() for fold in plan.folds] == [[0, 1], [2, 3], [4, 5, 6]]
    assert [fold.train.tolist() for fold in plan.folds] == [[2, 3, 4, 5], [0, 1, 4, 5, 6], [1, 2, 3]]
    assert plan.notes == (
        "1 images of here have no 'site' and were left out",
        "while 'x' is judged, 1 images elsewhere of its groups are not learnt from",
        "while 'z' is judged, 1 images elsewhere of its groups are not learnt from",
    )


def test_a_class_of_one_site_only_is_told() -> None:
    plan = make_plan(with_sites(list("xxxyyyzz"), "abcabcab"[:7] + "b"), None, Settings(sites="site"))
    assert not any("only" in note for note in plan.notes)
    plan = make_plan(with_sites(list("xxxyyyzz"), "abcabaab"), None, Settings(sites="site"))
    assert any(note.startswith("only 'x' has c: no AUC there") for note in plan.notes)


def test_sites_with_one_class_are_told() -> None:
    plan = make_plan(with_sites(list("xxyyzzww"), "ababaabb"), None, Settings(sites="site"))
    assert plan.notes == (
        "all images of each of w, z are of one class, so there is no AUC there: the AUC is of the other 2 of 4 sites",
    )


def test_sites_where_no_label_has_two_sides_are_told() -> None:
    Y = np.array([[0, 1], [1, np.nan], [1, 0], [1, np.nan], [0, 0], [0, 0]], float)
    plan = make_plan(with_sites(list("xxyyzz"), Y), None, Settings(sites="site"))
    assert any(note.startswith("all images of each of y, z are of one class") for note in plan.notes)


@pytest.mark.parametrize(
    ("sites", "y", "message"),
    [
        (list("xxxxxxxx"), "abababab", "all images of here have the same 'site', and holding out sites needs two"),
        (list("xxyyzzww"), "aabbccaa", r"no 'site' has images of two classes of the target 'label' \(w, x, y, z have"),
        (list("xxxxyyyy"), "ababaaaa", "without the images of 'x' there are no two classes of the target 'label'"),
    ],
)
def test_sites_that_permit_no_judgement_are_refused(sites: list[str], y: str, message: str) -> None:
    with pytest.raises(EmbedkitError, match=message):
        make_plan(with_sites(sites, y), None, Settings(sites="site"))
    with pytest.raises(EmbedkitError, match=r"unknown column 'sote'\. Did you mean site"):
        make_plan(with_sites(sites, y), None, Settings(sites="sote"))


def test_repeats_cut_anew_and_judge_every_image_as_often() -> None:
    plan = make_plan(made(list("ab") * 20), None, Settings(folds=4, repeats=3))
    assert len(plan.folds) == 12
    judged = [np.sort(np.concatenate([fold.test for fold in plan.folds[i : i + 4]])).tolist() for i in (0, 4, 8)]
    assert judged == [list(range(40))] * 3
    assert plan.folds[0].test.tolist() != plan.folds[4].test.tolist()


def test_a_published_split_can_be_set_aside_and_not_repeated() -> None:
    source = made(list("ababab"), THREE)
    assert make_plan(source, None, Settings(split="folds", folds=3)).kind == "folds"
    assert make_plan(source, None, Settings(split="folds", folds=3)).notes == ()
    with pytest.raises(EmbedkitError, match="has a published split, which can't be repeated"):
        make_plan(source, None, Settings(repeats=2))


@pytest.mark.parametrize("choices", [{"sites": "site"}, {"repeats": 2}, {"split": "folds"}])
def test_choices_that_cut_one_set_are_refused_with_another(choices: dict[str, Any]) -> None:
    with pytest.raises(EmbedkitError, match="cuts one set and there is another one to judge on"):
        make_plan(made(list("abab")), made(list("abab"), seed=1, name="there"), Settings(**choices))


def test_sites_and_repeats_exclude_each_other() -> None:
    with pytest.raises(EmbedkitError, match="sites are held out in turn, which repeats can't change"):
        make_plan(with_sites(list("xyxyxyxy")), None, Settings(sites="site", repeats=2))


def test_embeddings_are_pooled_before_anything_is_cut() -> None:
    source = made(list("aabbaabb"), groups=[1, 1, 2, 2, 3, 3, 4, 4])
    plan = make_plan(source, None, Settings(level="group", pool="embeddings", folds=2))
    assert len(plan.train) == 4
    np.testing.assert_allclose(plan.train.X[0], source.X[:2].mean(axis=0), rtol=1e-6)
    assert plan.train.ids.tolist() == ["1", "2", "3", "4"]


@pytest.mark.parametrize("pool", ["probabilities", "embeddings", "embeddings-max"])
def test_units_that_cut_across_groups_are_refused_however_they_are_pooled(pool: str) -> None:
    source = made(list("aabbaabb"), groups=[1, 1, 2, 2, 3, 3, 4, 4])
    within = replace(source, table=source.table.assign(eye=list("klmnopqr")))
    assert len(make_plan(within, None, Settings(level="eye", pool=pool, folds=2)).test) == 8
    across = replace(source, table=source.table.assign(eye=list("kkmmkoqq")))
    with pytest.raises(EmbedkitError, match=r"the level 'eye' cuts across groups \(patients\): the images of k belong"):
        make_plan(across, None, Settings(level="eye", pool=pool, folds=2))
