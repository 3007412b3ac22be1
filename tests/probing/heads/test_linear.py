"""Linear scores are one product, whatever the blocks."""

from functools import partial

import numpy as np
import pytest
from scipy.special import log_softmax

from embedkit.probing.heads.linear import Linear
from embedkit.probing.heads.svm import rbf_kernel


def made(features: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 6)), rng.normal(size=(4, 3, features)), rng.normal(size=(4, 3))


@pytest.mark.parametrize("block", [1, 7, 1024])
@pytest.mark.parametrize("normalise", [False, True])
def test_scores_by_hand(block: int, normalise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedkit.probing.heads.linear._BLOCK", block)
    X, coef, intercept = made()
    rows = np.array([3, 3, 49, 0, 17, 20, 21, 22])
    found = Linear(coef, intercept, normalise=normalise)(X, rows)
    expected = np.stack([X[rows] @ w.T + b for w, b in zip(coef, intercept, strict=True)])
    np.testing.assert_allclose(found, log_softmax(expected, axis=2) if normalise else expected, rtol=1e-10)


def test_a_kernel_makes_the_features() -> None:
    X, coef, intercept = made(features=20)
    found = Linear(coef, intercept, features=partial(rbf_kernel, B=X[:20], gamma=0.1))(X, np.arange(50))
    expected = np.einsum("nf,vkf->vnk", rbf_kernel(X, X[:20], 0.1), coef) + intercept[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_products_are_in_double_precision_and_scores_in_that_of_the_embeddings() -> None:
    X, coef, intercept = made()
    single = X.astype(np.float32)
    found = Linear(coef * 1e6, intercept)(single, np.arange(50))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, Linear(coef * 1e6, intercept)(single.astype(float), np.arange(50)).astype(np.float32)
    )


def test_an_impossible_class_stays_impossible() -> None:
    X, coef, intercept = made()
    intercept[:, 1] = -np.inf
    found = Linear(coef, intercept, normalise=True)(X, np.arange(50))
    assert (found[:, :, 1] == -np.inf).all()
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1)
