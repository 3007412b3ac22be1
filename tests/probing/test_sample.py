"""What an EmbeddingSet must be before anything is learnt from it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.sample import Sample, read_sample


def small(**columns: object) -> EmbeddingSet:
    made = EmbeddingSet.from_arrays(np.arange(8.0).reshape(4, 2), ["a", "b", "a", "b"], name="four")
    return replace(made, table=made.table.assign(**columns))


def read(source: EmbeddingSet, group: str | None = None) -> Sample:
    return read_sample(source, "label", ["label"], group)


def test_unlabelled_rows_are_left_out_everywhere_and_counted() -> None:
    sample = read(small(label=["a", None, "b", np.nan], group=[1, 2, 3, 4]))
    assert sample.ids.tolist() == ["0", "2"]
    np.testing.assert_array_equal(sample.X, [[0, 1], [4, 5]])
    np.testing.assert_array_equal(sample.labels.truth, [[1, 0], [0, 1]])
    assert sample.groups.tolist() == ["1", "3"]
    assert sample.notes == ("2 of 4 images of four have no 'label' and were left out",)


def test_rows_without_a_group_are_their_own_and_counted() -> None:
    sample = read(small(group=["p", np.nan, "p", ""]))
    assert sample.groups[0] == sample.groups[2] == "p"
    assert len(set(sample.groups)) == 3
    assert sample.grouped.tolist() == [True, False, True, False]
    assert sample.notes == ("2 images of four have no group: each counts as a group of its own",)


def test_a_group_named_like_an_id_is_not_that_image() -> None:
    sample = read(small(group=["3", "3", "3", np.nan]))
    assert sample.groups[3] != "3"


def test_integer_groups_are_the_same_with_and_without_gaps() -> None:
    whole, gap = read(small(group=[1, 1, 2, 3])), read(small(group=[1, np.nan, 2, 3]))
    assert whole.groups[0] == gap.groups[0] == "1"


def test_copies_of_one_file_are_one_group() -> None:
    sample = read(small(digest=["d1", "d2", "d1", "d3"]))
    assert sample.groups[0] == sample.groups[2]
    assert len(set(sample.groups)) == 3
    assert not sample.grouped.any()


def test_another_column_groups_on_request() -> None:
    sample = read(small(group=["p", "q", "r", "s"], site=["x", "x", "y", "y"]), group="site")
    assert sample.groups.tolist() == ["x", "x", "y", "y"]


def test_an_unknown_group_column_brings_the_closest() -> None:
    with pytest.raises(EmbedkitError, match=r"unknown group column 'lesion'\. Did you mean lesion_id\?"):
        read(small(lesion_id=[1, 2, 3, 4]), group="lesion")


def test_a_split_that_is_none_is_refused() -> None:
    with pytest.raises(EmbedkitError, match="'split' of four holds holdout: each must be train, val or test"):
        read(small(split=["train", "holdout", "test", np.nan]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_embeddings_that_are_not_finite_are_counted_and_named(value: float) -> None:
    source = small()
    source.X[[1, 3], 0] = value
    with pytest.raises(EmbedkitError, match=r"2 of 4 embeddings of four hold NaN or infinite values \(ids 1, 3\)"):
        read(source)


def test_large_values_are_not_taken_for_infinite() -> None:
    source = small()
    source.X[:] = 3e38
    assert np.isfinite(read(source).X).all()


def test_a_bad_embedding_without_a_label_does_no_harm() -> None:
    source = small(label=["a", None, "b", "b"])
    source.X[1] = np.nan
    assert len(read(source)) == 3


def test_half_and_single_precision_are_not_copied_and_double_becomes_single() -> None:
    source = small()
    for kind in (np.float16, np.float32):
        given = replace(source, X=source.X.astype(kind))
        assert np.shares_memory(read(given).X, given.X)
    assert read(replace(source, X=source.X.astype(np.float64))).X.dtype == np.float32


def test_vectors_are_single_whatever_is_held() -> None:
    source = small()
    for kind in (np.float16, np.float32):
        sample = read(replace(source, X=source.X.astype(kind)))
        found = sample.vectors(np.array([[3, 1], [0, 0]]))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, source.X.astype(np.float32)[[[3, 1], [0, 0]]])
        assert not np.shares_memory(found, sample.X)
    assert sample.vectors(np.array([], int)).shape == (0, 2)


def test_select_takes_the_same_rows_of_everything() -> None:
    sample = read(small(group=list("pqrs"), split=["train", "val", "test", np.nan])).select(np.array([3, 1]))
    assert sample.ids.tolist() == ["3", "1"]
    assert sample.groups.tolist() == ["s", "q"]
    assert sample.split.tolist() == ["", "val"]
    np.testing.assert_array_equal(sample.X, [[6, 7], [2, 3]])


def test_an_empty_split_column_is_no_split() -> None:
    assert (read(small(split=pd.Series([np.nan] * 4, dtype=object))).split == "").all()
