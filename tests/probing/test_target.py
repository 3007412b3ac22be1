"""Labels as people write them become classes, or a sentence."""

import numpy as np
import pandas as pd
import pytest

from embedkit.errors import EmbedkitError
from embedkit.probing.target import as_names, choose_target, in_order, listed, read_labels


def one_column(values: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"label": pd.Series(values, dtype=object)})


def test_classes_are_sorted_and_gaps_are_not_judged() -> None:
    labels = read_labels(one_column(["nv", "mel", np.nan, "nv", " ", None]), "dx", ["label"])
    assert labels.classes == ("mel", "nv")
    assert labels.exclusive
    np.testing.assert_array_equal(labels.truth[[0, 1, 3]], [[0, 1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(labels.labelled(), [True, True, False, True, False, False])


def test_integers_with_gaps_are_names_sorted_by_value() -> None:
    labels = read_labels(pd.DataFrame({"label": [10, 2, 7, 2]}), "grade", ["label"])
    assert labels.classes == ("2", "7", "10")
    np.testing.assert_array_equal(labels.truth.argmax(axis=1), [2, 0, 1, 0])


def test_a_missing_value_does_not_rename_integer_classes() -> None:
    whole, gap = pd.DataFrame({"label": [0, 1, 2]}), pd.DataFrame({"label": [0.0, np.nan, 2.0]})
    assert read_labels(whole, "y", ["label"]).classes == ("0", "1", "2")
    assert read_labels(gap, "y", ["label"]).classes == ("0", "2")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([True, False], ["True", "False"]),
        ([np.int8(3), np.float32(4)], ["3", "4"]),
        ([0.5, "NA"], ["0.5", "NA"]),
        (pd.Categorical(["b", None]), ["b", np.nan]),
    ],
)
def test_as_names(values: object, names: list[object]) -> None:
    assert as_names(pd.Series(values)).fillna("-").tolist() == pd.Series(names).fillna("-").tolist()


def test_in_order() -> None:
    assert in_order(["10", "9", "1.5"]) == ("1.5", "9", "10")
    assert in_order(["10", "9", "b"]) == ("10", "9", "b")


def test_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefgh")) == "a, b, c, d, e and 3 more"


def test_several_columns_are_labels_that_may_hold_together() -> None:
    table = pd.DataFrame({"a": [1, 0, np.nan], "b": ["1", "1", None], "c": [True, False, False]})
    labels = read_labels(table, "finding", ["a", "b", "c"])
    assert not labels.exclusive
    np.testing.assert_array_equal(labels.truth, [[1, 1, 1], [0, 1, 0], [np.nan, np.nan, 0]])


def test_test_labels_are_put_in_the_classes_of_training() -> None:
    labels = read_labels(one_column(["c", "a"]), "dx", ["label"], classes=["a", "b", "c"])
    np.testing.assert_array_equal(labels.truth, [[0, 0, 1], [1, 0, 0]])


def test_a_class_unknown_to_training_is_named_with_its_count() -> None:
    with pytest.raises(EmbedkitError, match=r"'scar' \(2 images\).*training images have a, b"):
        read_labels(one_column(["scar", "a", "scar"]), "dx", ["label"], classes=["a", "b"])


def test_something_other_than_0_and_1_is_refused_with_its_column() -> None:
    with pytest.raises(EmbedkitError, match=r"'b' of the multilabel target 'finding' holds '2'"):
        read_labels(pd.DataFrame({"a": [1, 0], "b": [2, 0]}), "finding", ["a", "b"])


@pytest.mark.parametrize("columns", [["label"], ["label", "other"]])
def test_no_label_at_all_is_refused(columns: list[str]) -> None:
    with pytest.raises(EmbedkitError, match="no image has a label for the target 'dx'"):
        read_labels(pd.DataFrame({"label": [np.nan, np.nan], "other": [np.nan, np.nan]}), "dx", columns)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(EmbedkitError, match="needs the column 'severity'"):
        read_labels(one_column(["a"]), "severity", ["severity"])


def test_the_first_target_is_the_default_and_unknown_ones_bring_the_closest() -> None:
    targets = {"tissue": ("label",), "severity": ("severity",)}
    assert choose_target(None, targets, "mini-mias") == "tissue"
    assert choose_target("severity", targets, "mini-mias") == "severity"
    with pytest.raises(EmbedkitError, match=r"unknown target 'severty'\. Did you mean severity\? mini-mias has tissue"):
        choose_target("severty", targets, "mini-mias")
    with pytest.raises(EmbedkitError, match="x has no label"):
        choose_target(None, {}, "x")
