"""Levels and running sums are those of a plain loop, and single precision is used only where it is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from embedkit.probing.measures.ranking import auc, average_precision, columns, mean_of_defined, rank, ratio, running_sum


@given(st.integers(1, 30), st.integers(0, 10_000))
@settings(deadline=None, max_examples=100)
def test_what_stands_where_is_counted_as_in_a_loop(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(6, size=n) / 2, rng.random(n) < 0.5
    W = rng.integers(4, size=(3, n))
    rows = np.flatnonzero(rng.random(n) < 0.8)
    found = rank(scores, positive, rows).weigh(columns(W))
    kept = np.isin(np.arange(n), rows)
    levels = np.unique(scores[kept & positive])
    assert found.held.shape == (len(levels), 3)
    for r, weights in enumerate(W):
        assert found.positives[r] == weights[kept & positive].sum()
        assert found.negatives[r] == weights[kept & ~positive].sum()
        for number, level in enumerate(levels):
            assert found.held[number, r] == weights[kept & positive & (scores == level)].sum()
            assert found.below[number, r] == weights[kept & ~positive & (scores < level)].sum()
            assert found.at_most[number, r] == weights[kept & ~positive & (scores <= level)].sum()


@pytest.mark.parametrize("replicates", [3, 200])
def test_many_counts_are_exact_in_single_precision(replicates: int) -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(500, size=3000) / 7, rng.random(3000) < 0.4
    W = rng.integers(6, size=(replicates, 3000), dtype=np.int32)
    ranked = rank(scores, positive).weigh(columns(W))
    assert ranked.held.dtype == np.float32
    found = np.column_stack([auc(ranked), average_precision(ranked)])
    for r in range(0, replicates, 40):
        truth = {"y_true": positive, "y_score": scores, "sample_weight": W[r]}
        np.testing.assert_allclose(found[r], [roc_auc_score(**truth), average_precision_score(**truth)], atol=1e-12)


def test_single_precision_is_for_counts_that_it_holds() -> None:
    assert columns(np.ones((2, 5), np.int64)).dtype == np.float32
    assert columns(np.full((2, 5), 2**21)).dtype == np.float64
    assert columns(np.ones((2, 5))).dtype == np.float64
    assert columns(np.arange(10).reshape(2, 5)).flags.c_contiguous


def test_counts_beyond_single_precision_stay_exact() -> None:
    scores, positive = np.array([0.0, 1.0, 1.0, 2.0]), np.array([False, True, False, True])
    W = np.array([[2**24 + 1, 3, 2**24 + 3, 5]])
    expected = roc_auc_score(positive, scores, sample_weight=W[0])
    assert auc(rank(scores, positive).weigh(columns(W)))[0] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("wide", [1, 500])
def test_running_sum(wide: int) -> None:
    rows = np.random.default_rng(1).integers(9, size=(40, wide)).astype(float)
    np.testing.assert_array_equal(running_sum(rows.copy()), np.cumsum(rows, axis=0))


def test_a_side_without_images_has_no_numbers() -> None:
    scores, W = np.arange(4.0), columns(np.ones((2, 4), int))
    none, every = (rank(scores, np.full(4, side)).weigh(W) for side in (False, True))
    assert np.isnan([auc(none), auc(every), average_precision(none)]).all()
    np.testing.assert_array_equal(average_precision(every), 1.0)


def test_ratio_and_mean_of_defined() -> None:
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])), [0.5, np.nan])
    found = mean_of_defined(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]))
    np.testing.assert_array_equal(found, [2.0, np.nan])
