"""Standardisation sees the training rows only and makes no NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from embedkit.probing.standard import standardised


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
