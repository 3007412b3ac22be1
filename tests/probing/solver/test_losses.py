"""Losses and their derivatives by their formulas, also where an image is all but certain."""

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax

from embedkit.probing.solver.losses import Sigmoid, Softmax

CODES = np.array([0, 2, 1, 2, 0, 1])
ALL = slice(0, 6)


def scores_of(scale: float) -> np.ndarray:
    return scale * np.random.default_rng(0).normal(size=(3, 2, 6))


@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
def test_the_softmax_by_its_formula(scale: float) -> None:
    scores = scores_of(scale)
    terms = Softmax(CODES, 3).terms(scores.copy(), np.array([0, 1]), ALL)
    held = np.eye(3)[CODES].T[:, None]
    p = softmax(scores, axis=0)
    np.testing.assert_allclose(terms.loss, -(log_softmax(scores, axis=0) * held).sum(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(terms.slope, p - held, atol=1e-15)
    np.testing.assert_allclose(terms.wrong, p * (1 - held), rtol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
def test_the_sigmoid_by_its_formula(scale: float) -> None:
    sign = np.array([[1, -1, 1, -1, 1, 1]] * 2, np.float32)
    margin = scores_of(scale)[:1]
    terms = Sigmoid(sign).terms(margin.copy(), np.array([0, 1]), ALL)
    wrong = np.exp(-np.logaddexp(0, margin * sign))
    np.testing.assert_allclose(terms.loss, np.logaddexp(0, -margin * sign)[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(terms.slope, -sign * wrong, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(terms.wrong, wrong, rtol=1e-12, atol=1e-14)


def test_a_certain_image_keeps_its_digits_in_single_precision() -> None:
    scores = np.array([40.0, 0.0, 1.0], np.float32)[:, None, None]
    terms = Softmax(np.array([0]), 3).terms(scores.copy(), np.array([0]), slice(0, 1))
    exactly = np.exp([-40.0, -39.0])
    np.testing.assert_allclose(terms.wrong[1:, 0, 0], exactly, rtol=1e-6)
    np.testing.assert_allclose(terms.slope[:, 0, 0], [-exactly.sum(), *exactly], rtol=1e-6)
    np.testing.assert_allclose(terms.loss[0, 0], exactly.sum(), rtol=1e-6)


def test_products_and_curvatures_are_the_second_derivative() -> None:
    loss, scores = Softmax(CODES, 3), scores_of(2.0)
    wrong, change = loss.terms(scores.copy(), np.array([0, 1]), ALL).wrong, scores_of(1.0)[::-1].copy()
    p = softmax(scores, axis=0)
    expected = p * (change - (p * change).sum(axis=0))
    np.testing.assert_allclose(loss.product(wrong, change.copy(), ALL), expected, atol=1e-12)
    for k in range(3):
        for other in range(3):
            curvature = p[k] * ((k == other) - p[other])
            np.testing.assert_allclose(loss.curvature(wrong, ALL, k, other), curvature, atol=1e-12)


def test_the_loss_of_some_rows() -> None:
    rows, scores = np.array([4, 1]), scores_of(1.0)
    sign = np.array([[1, -1, 1, -1, 1, 1]], np.float32)
    for loss, K in ((Softmax(CODES, 3), 3), (Sigmoid(sign), 1)):
        base = np.zeros(2, int)
        whole, some = (
            loss.terms(scores[:K].copy(), base, ALL),
            loss.of(rows).terms(scores[:K, :, rows], base, slice(0, 2)),
        )
        np.testing.assert_array_equal(some.loss, whole.loss[:, rows])
        np.testing.assert_array_equal(some.slope, whole.slope[..., rows])


def test_a_softmax_does_not_change_when_all_scores_move_together() -> None:
    loss, scores = Softmax(CODES, 3), scores_of(1.0)
    plain, moved = (loss.terms(scores + shift, np.array([0, 1]), ALL) for shift in (0, 50.0))
    np.testing.assert_allclose(moved.loss, plain.loss, rtol=1e-12)
    assert plain.loss == pytest.approx(logsumexp(scores, axis=0) - np.take_along_axis(scores, CODES[None, None], 0)[0])
