"""Neighbours are scikit-learn's, and copies of an image do no harm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.neighbors import KNeighborsClassifier

from embedkit.probing.heads.neighbours import TEMPERATURE, Neighbours, nearest_first
from tests.probing.making import clustered


def votes(distance: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp((1 - distance) / TEMPERATURE))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("k", [1, 2, 7, 200])
def test_shares_of_votes_are_those_of_scikit_learn(classes: int, k: int) -> None:
    X, y, _ = clustered(300, 10, classes)
    neighbours = Neighbours(X, np.arange(200), np.eye(classes)[y[:200]], True, None, (k,))
    (scores,) = neighbours(X, np.arange(200, 300))
    reference = KNeighborsClassifier(k, metric="cosine", weights=votes).fit(X[:200].astype(float), y[:200])
    shares = reference.predict_proba(X[200:].astype(float))
    # One vote more than k, spread evenly over the classes.
    expected = (k * shares + 1 / classes) / (k + 1)
    np.testing.assert_allclose(expit(scores) if classes == 2 else np.exp(scores), expected, atol=1e-4)
    clear = np.sort(shares, axis=1)[:, -1] - np.sort(shares, axis=1)[:, -2] > 1e-3
    np.testing.assert_array_equal(scores.argmax(axis=1)[clear], reference.predict(X[200:].astype(float))[clear])


def test_all_k_at_once_are_each_k_alone_and_more_than_there_are_is_all() -> None:
    X, y, _ = clustered(90, 6, 3)
    truth, rows = np.eye(3)[y], np.arange(60)
    together = Neighbours(X, rows, truth[:60], True, None, (1, 5, 60, 61, 10**6))(X, np.arange(60, 90))
    for number, k in enumerate((1, 5, 60)):
        alone = Neighbours(X, rows, truth[:60], True, None, (k,))(X, np.arange(60, 90))
        np.testing.assert_array_equal(together[number], alone[0])
    np.testing.assert_array_equal(together[3], together[2])
    np.testing.assert_array_equal(together[4], together[2])


def test_labels_by_a_loop() -> None:
    X, _, _ = clustered(80, 6)
    truth = (X[:60, :4] > 0).astype(float)
    truth[::3, 1] = np.nan
    truth[::4, 2] = np.nan
    truth[:, 3] = np.nan
    weights = np.random.default_rng(0).uniform(0.5, 2, size=truth.shape)
    k = 7
    (scores,) = Neighbours(X, np.arange(60), truth, False, weights, (k,))(X, np.arange(60, 80))
    unit = X.astype(float) / np.linalg.norm(X.astype(float), axis=1, keepdims=True)
    for image in range(20):
        for label in range(3):
            judged = np.flatnonzero(~np.isnan(truth[:, label]))
            similarity = unit[judged] @ unit[60 + image]
            near = judged[np.argsort(-similarity, kind="stable")[:k]]
            vote = np.exp(unit[near] @ unit[60 + image] / TEMPERATURE) * weights[near, label]
            for_it = k * vote[truth[near, label] == 1].sum() / vote.sum()
            expected = np.log((for_it + 0.5) / (k - for_it + 0.5))
            assert scores[image, label] == pytest.approx(expected, abs=1e-3)
    np.testing.assert_array_equal(scores[:, 3], 0)


def test_votes_are_weighed() -> None:
    X, y, _ = clustered(150, 6, 3)
    weights = np.array([1.0, 5.0, 0.2])[y]
    (scores,) = Neighbours(X, np.arange(100), np.eye(3)[y[:100]], True, weights[:100], (100,))(X, np.arange(100, 150))
    similarity = 1 - np.array([[1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in X[:100]] for a in X[100:]])
    each = np.exp(similarity / TEMPERATURE) * weights[:100]
    shares = np.stack([each[:, y[:100] == c].sum(axis=1) for c in range(3)], axis=1) / each.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(scores), (100 * shares + 1 / 3) / 101, atol=1e-4)


def test_exact_copies_share_their_votes_and_make_no_infinity() -> None:
    X = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    y = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1])
    scores = Neighbours(X, np.arange(12), np.eye(2)[y], True, None, (1, 4))(X, np.arange(12))
    np.testing.assert_allclose(scores[1, [0, 4, 8], 1], np.log([1.5 / 3.5, 4.5 / 0.5, 2.5 / 2.5]), atol=1e-6)
    # Of copies the earliest is the nearest.
    assert (scores[0, 8:, 1] == scores[0, 8, 1]).all()
    assert scores[0, 8, 1] < 0


def test_directions_count_and_lengths_do_not() -> None:
    X, y, _ = clustered(100, 6, 2)
    stretched = X * np.random.default_rng(0).uniform(0.1, 50, size=(100, 1)).astype(np.float32)
    a, b = (
        Neighbours(M, np.arange(70), np.eye(2)[y[:70]], True, None, (5,))(M, np.arange(70, 100)) for M in (X, stretched)
    )
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_vector_of_zeros_is_similar_to_nobody() -> None:
    X = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    scores = Neighbours(X, np.arange(3), np.eye(3), True, None, (1, 3))(X, np.arange(3))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[1, 0], np.log(1 / 3), atol=1e-6)


@pytest.mark.parametrize("block", [1, 500, 2**22])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = clustered(200, 9, 4)
    neighbours = Neighbours(X, np.arange(150), np.eye(4)[y[:150]], True, None, (3, 20))
    whole = neighbours(X, np.arange(150, 200))
    monkeypatch.setattr("embedkit.probing.heads.neighbours._BLOCK", block)
    np.testing.assert_allclose(neighbours(X, np.arange(150, 200)), whole, atol=1e-4)


@given(arrays(np.float32, (3, 17), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0])), st.integers(1, 17))
@settings(deadline=None, max_examples=60)
def test_the_order_is_complete(similarity: np.ndarray, k: int) -> None:
    values, positions = nearest_first(similarity, k)
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(similarity, expected, axis=1))
