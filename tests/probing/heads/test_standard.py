"""Standardisation sees the training rows only and makes no NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from embedkit.probing.heads.standard import standardise


def standardised(X: np.ndarray, X_new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return X, standardise(X)(X_new)


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    X, new = (rng.gamma(2, 3, size=(n, 6)) * [1, 10, 0.01, 1, 1, 1000] + [0, 5, 0, -8, 0, 0] for n in (50, 20))
    scaler = StandardScaler().fit(X)
    ours = standardised(X.astype(np.float32), new.astype(np.float32))
    np.testing.assert_allclose(ours[0], scaler.transform(X), atol=1e-5)
    np.testing.assert_allclose(ours[1], scaler.transform(new), atol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e6, 1e-20, 3e38])
def test_a_constant_feature_is_0_everywhere_else_too(constant: float) -> None:
    X = np.column_stack([np.full(101, constant), np.arange(101)]).astype(np.float32)
    new = np.array([[constant + 1, 50.0]], np.float32)
    fitted, other = standardised(X, new)
    np.testing.assert_array_equal(fitted[:, 0], 0)
    np.testing.assert_allclose(other, [[0, 0]], atol=1e-6)
    assert fitted[:, 1].std() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("mean", [1e3, -3e4, 1e6])
def test_means_far_from_0_leave_no_offset(mean: float) -> None:
    X = (np.random.default_rng(0).normal(size=(500, 5)) * [0.5, 1, 2, 30, 100] + mean).astype(np.float32)
    fitted, new = standardised(X.copy(), X[:50].copy())
    scaler = StandardScaler().fit(X.astype(np.float64))
    np.testing.assert_allclose(fitted, scaler.transform(X.astype(np.float64)), atol=1e-5)
    np.testing.assert_array_equal(new, fitted[:50])


def test_it_is_done_in_place_without_a_copy() -> None:
    import tracemalloc

    X = np.random.default_rng(0).normal(3, 2, size=(20_000, 64)).astype(np.float32)
    new = X[:100].copy()
    tracemalloc.start()
    other = standardise(X)(new)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(X.mean()) < 1e-6
    assert other is new
    assert peak < 0.1 * X.nbytes


def test_new_rows_change_nothing() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 4)).astype(np.float32)
    a = standardised(X.copy(), rng.normal(size=(5, 4)).astype(np.float32))[0]
    b = standardised(X.copy(), np.full((5, 4), 1e9, np.float32))[0]
    np.testing.assert_array_equal(a, b)


@given(arrays(np.float32, (7, 3), elements=st.floats(-(2.0**50), 2.0**50, width=32)))
@settings(deadline=None, max_examples=60)
def test_never_nan_and_never_more_than_unit_deviation(X: np.ndarray) -> None:
    fitted, new = standardised(X.copy(), X.copy())
    assert np.isfinite(fitted).all()
    np.testing.assert_array_equal(fitted, new)
    assert (fitted.std(axis=0, dtype=float) <= 1 + 1e-3).all()
