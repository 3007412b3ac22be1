"""EmbeddingSet from anybody's arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from embedkit import EmbeddingSet, EmbedkitError


def test_from_arrays_keeps_what_it_was_given() -> None:
    X = np.arange(12.0).reshape(4, 3)
    made = EmbeddingSet.from_arrays(X, ["a", "b", "a", "b"], groups=[1, 1, 2, 2], split=["train"] * 3 + ["test"])
    assert made.table["label"].tolist() == ["a", "b", "a", "b"]
    assert made.targets == {"label": ("label",)}
    test = made.split("test")
    np.testing.assert_array_equal(test.X, X[3:])
    assert test.table["group"].tolist() == [2]
    assert test.table.index.tolist() == [0]


def test_from_arrays_takes_multilabel_targets() -> None:
    made = EmbeddingSet.from_arrays(np.zeros((2, 3)), [[0, 1], [1, 1]])
    assert made.targets == {"label": ("label:0", "label:1")}
    assert made.table["label:1"].tolist() == [1, 1]


def test_rows_are_taken_by_position_whatever_their_index() -> None:
    labels = pd.DataFrame({"a": [1, 0, 0], "b": [0, 1, 1]}, index=[2, 0, 1])
    made = EmbeddingSet.from_arrays(np.zeros((3, 2)), labels, groups=pd.Series(["p", "q", "r"], index=[2, 1, 0]))
    assert made.table["a"].tolist() == [1, 0, 0]
    assert made.table["b"].tolist() == [0, 1, 1]
    assert made.table["group"].tolist() == ["p", "q", "r"]


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("kind", [list, pd.Series, lambda names: np.array(names, object)])
def test_what_is_missing_stays_so(kind: Callable[[list[object]], Any], missing: object) -> None:
    names = kind(["p", missing, "q"])
    table = EmbeddingSet.from_arrays(np.zeros((3, 2)), names, groups=names, split=names).table
    for column in ("label", "group", "split"):
        assert table[column].isna().tolist() == [False, True, False]
        assert table[column].dropna().tolist() == ["p", "q"]


@pytest.mark.parametrize("name", ["id", "path", "digest", "group", "split"])
def test_a_label_is_not_called_as_a_column_of_the_table(name: str) -> None:
    labels = pd.DataFrame([[0, 1], [1, 0]], columns=["oedema", name])
    with pytest.raises(EmbedkitError, match=f"y has a column '{name}', a name that the table keeps .* rename"):
        EmbeddingSet.from_arrays(np.zeros((2, 3)), labels)


def test_two_labels_are_not_called_the_same() -> None:
    labels = pd.DataFrame([[0, 1], [1, 0]], columns=["oedema", "oedema"])
    with pytest.raises(EmbedkitError, match="y has the column 'oedema' more than once: rename one"):
        EmbeddingSet.from_arrays(np.zeros((2, 3)), labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [0]}, "y has 1 rows but X has 2"),
        ({"y": [0, 1], "groups": [1, 2, 3]}, "groups? has 3 rows but X has 2"),
        ({"y": [0, 1], "ids": ["a", "a"]}, "'a' stands more than once"),
    ],
)
def test_lengths_and_ids_are_checked(arguments: dict[str, list[object]], message: str) -> None:
    with pytest.raises(EmbedkitError, match=message):
        EmbeddingSet.from_arrays(np.zeros((2, 3)), **arguments)


def test_a_flat_array_is_refused() -> None:
    with pytest.raises(EmbedkitError, match=r"X must be \(n, d\)"):
        EmbeddingSet.from_arrays(np.zeros(2), [0, 1])


def test_an_unknown_split_lists_what_there_is() -> None:
    made = EmbeddingSet.from_arrays(np.zeros((2, 1)), [0, 1], split=["train", "test"])
    with pytest.raises(EmbedkitError, match="no split 'val': it has train, test"):
        made.split("val")
    with pytest.raises(EmbedkitError, match="no published split"):
        EmbeddingSet.from_arrays(np.zeros((2, 1)), [0, 1]).split("train")


@pytest.mark.parametrize(
    "X", [np.zeros((4, 0)), np.zeros(4), np.zeros((4, 2, 2)), csr_array(np.eye(4)), 1j * np.eye(4)]
)
def test_what_is_no_matrix_of_real_numbers_is_refused(X: object) -> None:
    with pytest.raises(EmbedkitError, match="a matrix of real numbers"):
        EmbeddingSet.from_arrays(X, [0, 1, 0, 1])  # type: ignore[arg-type]


def test_groups_of_two_columns_are_refused() -> None:
    with pytest.raises(EmbedkitError, match=r"group is of shape \(4, 2\)"):
        EmbeddingSet.from_arrays(np.eye(4), [0, 1, 0, 1], groups=np.zeros((4, 2)))
