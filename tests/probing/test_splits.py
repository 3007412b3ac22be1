"""Groups never straddle, classes are learnable, and what leaks is counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.sample import Sample, read_sample
from embedkit.probing.splits import (
    Fold,
    count_folds,
    grouped_folds,
    inner_folds,
    leakage,
    learnable,
    other_fold,
    published_fold,
)
from embedkit.probing.target import Labels
from tests.probing.making import labels_of


def sample_of(y: list[object], groups: object = None, split: object = None, digests: object = None) -> Sample:
    made = EmbeddingSet.from_arrays(np.zeros((len(y), 1)), y, groups=groups, split=split)
    if digests is not None:
        made.table["digest"] = digests
    return read_sample(made, "label", ["label"], None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=12, max_size=80), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_no_group_straddles_and_every_row_is_judged_once(rows: list[tuple[int, int]], seed: int) -> None:
    y, groups = (np.array(column) for column in zip(*rows, strict=True))
    labels = labels_of(y)
    assume(len(labels.classes) > 1 and inner_folds(labels, groups, 5) >= 2)
    folds = inner_folds(labels, groups, 5)
    cuts = grouped_folds(labels, groups, folds, seed)
    assert sorted(np.concatenate([test for _, test in cuts])) == list(range(len(y)))
    for train, test in cuts:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(y)))


def test_folds_are_stratified_and_repeatable() -> None:
    rng = np.random.default_rng(0)
    y, groups = rng.choice(3, 600, p=[0.8, 0.15, 0.05]), rng.integers(200, size=600)
    for grouping in (groups, np.arange(600)):
        cuts = grouped_folds(labels_of(y), grouping, 5, 7)
        again = grouped_folds(labels_of(y), grouping, 5, 7)
        for (train, test), (train_again, test_again) in zip(cuts, again, strict=True):
            np.testing.assert_array_equal(train, train_again)
            np.testing.assert_array_equal(test, test_again)
            for k in range(3):
                assert (y[test] == k).mean() == pytest.approx((y == k).mean(), abs=0.04)
        other = grouped_folds(labels_of(y), grouping, 5, 8)
        assert any(len(a[1]) != len(b[1]) or (a[1] != b[1]).any() for a, b in zip(cuts, other, strict=True))


def test_rare_labels_are_spread_over_the_folds() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 4)) < [0.5, 0.4, 0.3, 0.0]).astype(float)
    truth[:10, 3] = 1
    labels = Labels("finding", tuple("abcd"), truth, exclusive=False)
    cuts = grouped_folds(labels, np.arange(200), 5, 0)
    assert [int(truth[test, 3].sum()) for _, test in cuts] == [2, 2, 2, 2, 2]


def test_folds_are_reduced_to_the_groups_of_the_rarest_class_and_it_is_said() -> None:
    y = np.array(["a"] * 20 + ["b"] * 9)
    groups = np.array([*range(20), *[100, 101, 102] * 3])
    assert count_folds(labels_of(y), groups, 5) == (3, "3 folds instead of 5: the class 'b' lies in 3 groups only")
    assert count_folds(labels_of(y), np.arange(29), 5) == (5, None)


def test_a_class_in_one_group_is_refused_by_name() -> None:
    y, groups = np.array(["a"] * 6 + ["rare"] * 3), np.array([*range(6), 9, 9, 9])
    with pytest.raises(EmbedkitError, match="'rare' of the target 'label': leave those images out"):
        count_folds(labels_of(y), groups, 5)


def test_names_taken_for_classes_are_listed_and_not_all_printed() -> None:
    with pytest.raises(EmbedkitError, match=r"'img0'.* and 95 more of the target"):
        count_folds(labels_of(np.array([f"img{i}" for i in range(100)])), np.arange(100), 5)


def test_groups_with_mixed_labels_are_fine() -> None:
    y, groups = np.tile([0, 1], 30), np.repeat(np.arange(10), 6)
    cuts = grouped_folds(labels_of(y), groups, 5, 0)
    assert learnable(labels_of(y), [train for train, _ in cuts])


def test_a_published_split_is_used_as_it_is() -> None:
    fold = published_fold(sample_of(list("ababab"), split=["train", "test", "val", "train", "test", "val"]))
    assert fold is not None and fold.val is not None
    assert [rows.tolist() for rows in (fold.train, fold.val, fold.test)] == [[0, 3], [2, 5], [1, 4]]
    assert fold.fitted().tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize("split", [["train"] * 4, ["test"] * 4, ["train", "val", "train", "val"], None])
def test_without_train_and_test_there_is_no_published_split(split: object) -> None:
    assert published_fold(sample_of(list("abab"), split=split)) is None


def test_another_set_is_judged_where_it_says_test_and_everything_else_is_learnt() -> None:
    train = sample_of(list("abab"), split=["train", "val", "test", "train"])
    fold = other_fold(train, sample_of(list("abab"), split=["train", "test", "test", "train"]))
    assert fold.val is not None
    assert [fold.train.tolist(), fold.val.tolist(), fold.test.tolist()] == [[0, 2, 3], [1], [1, 2]]
    plain = other_fold(sample_of(list("abab")), sample_of(list("ab")))
    assert plain.val is None
    assert [plain.train.tolist(), plain.test.tolist()] == [[0, 1, 2, 3], [0, 1]]
    only_val = other_fold(sample_of(list("ab"), split=["val", "val"]), sample_of(list("ab")))
    assert only_val.val is None
    assert only_val.train.tolist() == [0, 1]


def test_leakage_counts_images_groups_and_copies() -> None:
    sample = sample_of(
        list("abababab"), groups=[1, 1, 2, 2, 1, 3, 3, None], digests=["p", "q", "r", "s", "t", "p", "u", "v"]
    )
    fold = Fold(np.array([0, 1, 2, 3]), None, np.array([4, 5, 6, 7]))
    assert leakage(sample, sample, [(fold.train, fold.test)]) == {
        "images": 1,
        "share": 0.25,
        "groups": 1,
        "groups_share": pytest.approx(1 / 3),
        "duplicates": 1,
    }


def test_what_the_tables_do_not_tell_is_none_and_not_0() -> None:
    sample = sample_of(list("abab"))
    found = leakage(sample, sample, [(np.array([0, 1]), np.array([2, 3]))])
    assert {name for name, value in found.items() if value is None} == {"images", "share", "groups", "groups_share"}


def test_without_bytes_the_same_embedding_counts_as_a_copy() -> None:
    made = EmbeddingSet.from_arrays(np.array([[1.0, 2], [3, 4], [1, 2], [1, 2.5]]), list("abab"))
    sample = read_sample(made, "label", ["label"], None)
    assert leakage(sample, sample, [(np.array([0, 1]), np.array([2, 3]))])["duplicates"] == 1
    # Where only one side knows its bytes, these can't be compared, and the embeddings are.
    made.table["digest"] = ["p", "q", "r", "s"]
    assert (
        leakage(read_sample(made, "label", ["label"], None), sample, [(np.array([0]), np.array([0]))])["duplicates"]
        == 1
    )


def test_rows_without_a_group_never_count_as_the_same_patient() -> None:
    train, test = (sample_of(list("ab"), groups=["x", None]) for _ in range(2))
    assert leakage(train, test, [(np.array([1]), np.array([1]))])["images"] == 0


def test_a_split_of_ham10000_by_image_leaks_what_was_measured(data_root: Path) -> None:
    table = pd.read_csv(data_root / "ham10000" / "HAM10000_metadata_full.csv")
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(5):
        split = np.where(rng.random(len(table)) < 0.2, "test", "train")
        sample = sample_of(table["dx"].tolist(), groups=table["lesion_id"].tolist(), split=split)
        fold = published_fold(sample)
        assert fold is not None
        shares.append(leakage(sample, sample, [(fold.train, fold.test)])["share"])
    assert np.mean(shares) == pytest.approx(0.387, abs=0.02)
    grouped = grouped_folds(sample.labels, sample.groups, 5, 0)
    assert leakage(sample, sample, grouped)["images"] == 0
