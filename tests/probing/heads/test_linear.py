"""Linear scores are one product, whatever the blocks."""

from functools import partial

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

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


@pytest.mark.parametrize("normalise", [False, True])
def test_scores_that_differ_in_the_last_digits_keep_their_order(normalise: bool) -> None:
    # A tiny C: all images have the shares of the classes as their probabilities, but for what ranks them.
    X, coef, intercept = made()
    single = X.astype(np.float32)
    found = Linear(coef * 1e-9, intercept, normalise=normalise)(single, np.arange(50))
    expected = np.einsum("nd,vkd->vnk", single.astype(float), coef)
    if normalise:
        shares = softmax(intercept, axis=1)
        expected -= np.einsum("vnk,vk->vn", expected, shares)[..., None]
    np.testing.assert_array_equal(found.argsort(axis=1), expected.argsort(axis=1))


def test_an_impossible_class_stays_impossible() -> None:
    X, coef, intercept = made()
    intercept[:, 1] = -np.inf
    found = Linear(coef, intercept, normalise=True)(X, np.arange(50))
    assert (found[:, :, 1] == -np.inf).all()
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1)
