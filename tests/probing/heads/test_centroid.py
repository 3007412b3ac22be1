"""The nearest centroid by cosine similarity, by scikit-learn's centroids and by hand."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from embedkit.probing.heads.centroid import solve, unit
from tests.probing.making import clustered


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_class_said_is_that_of_the_most_similar_centroid(classes: int) -> None:
    X, y, _ = clustered(300, 12, classes)
    coef, intercept = solve(X, np.arange(200), np.eye(classes)[y[:200]], True)
    scores = unit(X[200:]) @ coef.T + intercept
    centroids = NearestCentroid().fit(normalize(X[:200]), y[:200]).centroids_
    similarity = cosine_similarity(X[200:], centroids)
    np.testing.assert_array_equal(scores.argmax(axis=1), similarity.argmax(axis=1))
    others = (similarity.sum(axis=1, keepdims=True) - similarity) / (classes - 1)
    np.testing.assert_allclose(scores, similarity - others, atol=1e-5)


def test_labels_compare_who_has_them_with_who_does_not() -> None:
    X, _, _ = clustered(120, 6)
    truth = (X[:, :2] > 0).astype(float)
    truth[::3, 1] = np.nan
    coef, intercept = solve(X, np.arange(120), truth, False)
    for k in range(2):
        has, lacks = (normalize(X[truth[:, k] == side]).mean(axis=0, keepdims=True) for side in (1, 0))
        expected = cosine_similarity(X, has) - cosine_similarity(X, lacks)
        np.testing.assert_allclose(unit(X) @ coef[k] + intercept[k], expected[:, 0], atol=1e-5)


def test_only_the_rows_asked_for_are_learnt_from() -> None:
    X, y, _ = clustered(100, 6, 3)
    rows = np.random.default_rng(0).permutation(100)[:70]
    found = solve(X, rows, np.eye(3)[y[rows]], True)
    expected = solve(X[rows], np.arange(70), np.eye(3)[y[rows]], True)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)


def test_absent_classes_constant_labels_and_zeros() -> None:
    X, y, _ = clustered(60, 4, 2)
    coef, intercept = solve(X, np.arange(60), np.eye(3)[y], True)
    np.testing.assert_array_equal(intercept, [0, 0, -np.inf])
    assert not coef[2].any()
    np.testing.assert_allclose(coef[0], -coef[1], atol=1e-12)
    alone = solve(X, np.arange(60), np.eye(3)[np.zeros(60, int)], True)
    np.testing.assert_array_equal(alone[1], [0, -np.inf, -np.inf])
    truth = np.column_stack([np.ones(60), np.zeros(60), np.full(60, np.nan)])
    coef, intercept = solve(X, np.arange(60), truth, False)
    assert not coef.any()
    np.testing.assert_array_equal(intercept, [1, -1, -1])
    coef, _ = solve(np.zeros_like(X), np.arange(60), np.eye(2)[y], True)
    assert not coef.any()


def test_rows_have_length_1_or_0() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])
