"""DeLong's covariance is that of all pairs, and its p-values are uniform where there is no difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from embedkit.probing.measures.delong import DeLong, delong


def all_pairs(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong, DeLong and Clarke-Pearson (1988) as it is written, pair by pair."""
    x, y = scores[positive], scores[~positive]
    won = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
    v10, v01 = won.mean(axis=1), won.mean(axis=0)
    aucs = won.mean(axis=(0, 1))
    s10 = (v10 - aucs).T @ (v10 - aucs) / (len(x) - 1)
    s01 = (v01 - aucs).T @ (v01 - aucs) / (len(y) - 1)
    return aucs, s10 / len(x) + s01 / len(y)


@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 4), st.integers(0, 10_000))
@settings(deadline=None, max_examples=100)
def test_it_is_that_of_all_pairs(m: int, n: int, results: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(m + n) < m
    scores = rng.integers(6, size=(m + n, results)) + positive[:, None].astype(float)
    found, (aucs, covariance) = delong(positive, scores), all_pairs(positive, scores)
    np.testing.assert_allclose(found.aucs, aucs, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)


def test_a_case_by_hand() -> None:
    # Positives 2 and 4, negatives 1 and 3: of four pairs three are won; V10 = (1/2, 1), V01 = (1, 1/2).
    found = delong(np.array([False, True, False, True]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.aucs[0] == 0.75
    assert found.covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)
    low, high = found.interval()
    half = stats.norm.ppf(0.975) * 0.125**0.5 / (0.75 * 0.25)
    np.testing.assert_allclose([low, high], [1 / (1 + np.exp(half) / 3), 1 / (1 + np.exp(-half) / 3)])


def test_difference_by_hand() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.4
    shared = rng.normal(size=200) + positive
    scores = np.column_stack([shared + rng.normal(size=200), shared + 0.5 * rng.normal(size=200)])
    aucs, covariance = all_pairs(positive, scores)
    value, low, high, p = delong(positive, scores).difference()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert value == pytest.approx(aucs[0] - aucs[1], abs=1e-12)
    assert p == pytest.approx(2 * stats.norm.sf(abs(value) / error))
    np.testing.assert_allclose([low, high], value + np.array([-1, 1]) * stats.norm.ppf(0.975) * error)
    assert delong(positive, scores).difference(1, 0)[0] == -value
    # Within a class the scores correlate by 1 / sqrt(2 * 1.25) = .63; the error is sqrt(1 - .63) of that of two sets.
    assert error / np.sqrt(covariance[0, 0] + covariance[1, 1]) == pytest.approx(0.61, abs=0.1)


def test_p_is_uniform_where_there_is_no_difference_and_its_interval_covers() -> None:
    rng = np.random.default_rng(1)
    p_values, covered = [], 0
    truth = stats.norm.cdf(1 / np.sqrt(2 * 2))
    for _ in range(2000):
        positive = np.arange(160) < 60
        shared = rng.normal(size=160) + positive
        found = delong(positive, shared[:, None] + rng.normal(size=(160, 2)))
        p_values.append(found.difference()[-1])
        low, high = found.interval()
        covered += low <= truth <= high
    assert stats.kstest(p_values, "uniform").pvalue > 0.05
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_p_finds_a_difference() -> None:
    rng = np.random.default_rng(2)
    positive = np.arange(400) < 150
    good, bad = rng.normal(size=400) + 1.5 * positive, rng.normal(size=400) + 0.5 * positive
    assert delong(positive, np.column_stack([good, bad])).difference()[-1] < 1e-6


def test_what_has_no_variance_has_no_interval() -> None:
    positive = np.arange(20) < 8
    perfect, mirrored = positive.astype(float), -positive.astype(float)
    found = delong(positive, np.column_stack([perfect, mirrored, perfect]))
    np.testing.assert_array_equal(found.aucs, [1, 0, 1])
    assert found.interval(0) == found.interval(1) == (None, None)
    assert found.difference(0, 2) == (0.0, 0.0, 0.0, 1.0)
    assert found.difference(0, 1) == (1.0, None, None, None)


def test_equal_rankings_do_not_differ() -> None:
    rng = np.random.default_rng(3)
    positive, scores = rng.random(70) < 0.5, rng.normal(size=70)
    assert delong(positive, np.column_stack([scores, np.exp(3 * scores)])).difference() == (0.0, 0.0, 0.0, 1.0)


def test_an_empty_side_and_a_side_of_one() -> None:
    scores = np.arange(5.0)
    none = delong(np.zeros(5, bool), scores)
    assert np.isnan(none.aucs).all()
    assert none.interval() == (None, None)
    one = delong(np.arange(5) == 3, scores)
    assert one.aucs[0] == 0.75
    assert one.interval() == (None, None)


def test_many_images_are_quick_enough_to_need_no_pairs() -> None:
    rng = np.random.default_rng(4)
    positive = rng.random(200_000) < 0.1
    scores = np.round(rng.normal(size=200_000) + positive, 2)
    found = delong(positive, scores)
    assert found.aucs[0] == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert isinstance(found, DeLong)
