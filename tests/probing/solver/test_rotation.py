"""Principal axes: orthonormal, by rising variance, and a way there and back."""

import numpy as np
import pytest

from embedkit.probing.solver.blocks import row_blocks
from embedkit.probing.solver.rotation import Ready, principal_axes


def rotated(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -1.0 + 1).astype(np.float32)
    with row_blocks(n) as blocks:
        features, axes = principal_axes(Ready(X), blocks)
    assert axes.basis is not None
    return X, features.X, axes.basis


@pytest.mark.parametrize(("n", "d", "r"), [(90, 30, 30), (20, 50, 20)])
def test_axes_are_orthonormal_and_uncorrelated_by_rising_variance(n: int, d: int, r: int) -> None:
    X, Z, basis = rotated(n, d)
    assert basis.shape == (d, r)
    np.testing.assert_allclose(basis.T @ basis, np.eye(r), atol=1e-5)
    np.testing.assert_allclose(Z, (X - X.mean(axis=0)) @ basis, atol=1e-5)
    gram = Z.T @ Z
    np.testing.assert_allclose(gram, np.diag(gram.diagonal()), atol=1e-4 * gram.max())
    assert (np.diff(gram.diagonal()) > -1e-4 * gram.max()).all()
    # Nothing of the rows lies outside.
    np.testing.assert_allclose(Z @ basis.T, X - X.mean(axis=0), atol=1e-5)


def test_vectors_come_back_and_keep_their_intercept() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 20)).astype(np.float32)
    with row_blocks(60) as blocks:
        _, axes = principal_axes(Ready(X), blocks)
    W = rng.normal(size=(3, 2, 21))
    there = axes.along(W)
    assert there.dtype == np.float32
    np.testing.assert_array_equal(there[..., -1], W[..., -1].astype(np.float32))
    np.testing.assert_allclose(axes.back(there), W, atol=1e-5)


def test_tall_matrices_are_left_as_they_are() -> None:
    X = np.random.default_rng(1).normal(size=(80, 10)).astype(np.float32)
    with row_blocks(80) as blocks:
        features, axes = principal_axes(Ready(X), blocks)
    assert features.X is X
    assert axes.basis is None
