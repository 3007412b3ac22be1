"""Operating points are those of a brute-force walk over all thresholds, net benefit that of a count."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, roc_curve

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.metrics import Judged
from embedkit.probing.measures.operating import THRESHOLDS, net_benefit, operating_points, treat_all


def two(positive: np.ndarray, scores: np.ndarray) -> Judged:
    codes = positive.astype(int)
    return Judged(np.eye(2)[codes], np.column_stack([-scores, scores]), np.zeros(len(codes), int), exclusive=True)


def walked(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray, asked: Fraction) -> tuple[float, float]:
    """The best sensitivity and the best specificity where the other is at least asked, in exact fractions."""
    sides = [int(weights[positive].sum()), int(weights[~positive].sum())]
    if not all(sides):
        return np.nan, np.nan
    points = []
    for threshold in [np.inf, *np.unique(scores)]:
        said = scores >= threshold
        sensitivity = Fraction(int(weights[positive & said].sum()), sides[0])
        points.append((sensitivity, Fraction(int(weights[~positive & ~said].sum()), sides[1])))
    return (
        float(max(sensitivity for sensitivity, specificity in points if specificity >= asked)),
        float(max(specificity for sensitivity, specificity in points if sensitivity >= asked)),
    )


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 10_000))
@settings(deadline=None, max_examples=150)
def test_points_are_those_of_all_thresholds(n: int, twentieths: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(n) < 0.5, rng.integers(8, size=n).astype(float)
    W, asked = rng.integers(4, size=(4, n)), Fraction(twentieths, 20)
    found = operating_points(two(positive, scores), W, float(asked), float(asked))
    assert found.shape == (4, 6)
    for weights, row in zip(W, found, strict=True):
        np.testing.assert_array_equal(row[[3, 5]], walked(positive, scores, weights, asked))
        np.testing.assert_array_equal(row[[2, 4]], walked(~positive, -scores, weights, asked))
        np.testing.assert_array_equal(row[:2], row[[3, 5]])


@pytest.mark.parametrize("asked", [0.55, 0.7, 0.9])
def test_a_share_reached_exactly_counts_as_reached(asked: float) -> None:
    scores = np.arange(200.0)
    positive = np.arange(200) % 2 == 1
    point = operating_points(two(positive, scores), np.ones((1, 200), int), asked, asked)[0]
    # Positive k of 0..99 has k + 1 negatives below it: the first with 55 is number 54, and 46 lie from it on.
    np.testing.assert_allclose(point[:2], 1 - asked + 0.01, atol=1e-12)


def test_points_lie_on_scikit_learns_curve() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.3
    scores = np.round(rng.normal(size=400) + positive, 1)
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    sensitivity, specificity = operating_points(two(positive, scores), np.ones((1, 400), int), 0.9, 0.8)[0, :2]
    assert sensitivity == true[1 - false >= 0.9].max()
    assert specificity == pytest.approx(1 - false[true >= 0.8].min(), abs=1e-15)


def test_classes_and_folds_are_means() -> None:
    rng = np.random.default_rng(1)
    n = 120
    codes, fold = rng.integers(3, size=n), rng.integers(2, size=n)
    scores = rng.normal(size=(n, 3)) + np.eye(3)[codes]
    W = rng.integers(3, size=(2, n))
    found = operating_points(Judged(np.eye(3)[codes], scores, fold, exclusive=True), W, 0.8, 0.75)
    for weights, row in zip(W, found, strict=True):
        each = np.mean(
            [
                [
                    (
                        walked(codes[fold == f] == k, scores[fold == f, k], weights[fold == f], Fraction(4, 5))[0],
                        walked(codes[fold == f] == k, scores[fold == f, k], weights[fold == f], Fraction(3, 4))[1],
                    )
                    for k in range(3)
                ]
                for f in range(2)
            ],
            axis=0,
        )
        np.testing.assert_allclose(row, [*each.mean(axis=0), *each[:, 0], *each[:, 1]], atol=1e-12)


def test_labels_leave_out_what_is_not_judged() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random((80, 2)) < 0.4).astype(float)
    scores = rng.normal(size=(80, 2)) + truth
    truth[::3, 1] = np.nan
    found = operating_points(Judged(truth, scores, np.zeros(80, int), False), np.ones((1, 80), int), 0.9, 0.9)[0]
    known = ~np.isnan(truth[:, 1])
    expected = walked(truth[known, 1] == 1, scores[known, 1], np.ones(known.sum(), int), Fraction(9, 10))
    np.testing.assert_allclose([found[3], found[5]], expected)
    assert found[0] == pytest.approx(found[2:4].mean())


@pytest.mark.parametrize("asked", [0.0, -0.1, 1.1, 90.0, np.nan])
def test_no_share_is_refused(asked: float) -> None:
    judged = two(np.array([True, False]), np.arange(2.0))
    with pytest.raises(EmbedkitError, match="specificity"):
        operating_points(judged, np.ones((1, 2), int), asked, 0.9)
    with pytest.raises(EmbedkitError, match="sensitivity"):
        operating_points(judged, np.ones((1, 2), int), 0.9, asked)


@pytest.mark.parametrize("seed", range(3))
def test_net_benefit_is_a_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    truth = (rng.random(n) < 0.3).astype(float)
    probability = np.round(np.clip(0.3 * truth + rng.random(n) * 0.7, 0, 1), 2)
    W = rng.integers(3, size=(3, n))
    truth[::7] = np.nan
    found, everybody = net_benefit(truth, probability, THRESHOLDS, W), treat_all(truth, THRESHOLDS, W)
    assert found.shape == everybody.shape == (3, 99)
    for weights, model, all_treated in zip(W, found, everybody, strict=True):
        known = ~np.isnan(truth)
        share = np.average(truth[known], weights=weights[known])
        for threshold, benefit, benefit_of_all in zip(THRESHOLDS, model, all_treated, strict=True):
            (_, false), (_, true) = confusion_matrix(
                truth[known], probability[known] >= threshold, sample_weight=weights[known]
            )
            odds = threshold / (1 - threshold)
            assert benefit == pytest.approx((true - false * odds) / weights[known].sum(), abs=1e-12)
            assert benefit_of_all == pytest.approx(share - (1 - share) * odds, abs=1e-12)


def test_net_benefit_of_a_perfect_model_is_the_prevalence() -> None:
    truth = np.array([1.0, 0, 0, 1, 0])
    np.testing.assert_allclose(net_benefit(truth, truth, THRESHOLDS, np.ones((1, 5), int)), 0.4)
    # Treating everybody is worth nothing at a threshold that is the prevalence.
    assert treat_all(truth, np.array([0.4]), np.ones((1, 5), int))[0, 0] == pytest.approx(0, abs=1e-15)


def test_net_benefit_without_a_judged_image_is_not_defined() -> None:
    assert np.isnan(net_benefit(np.full(3, np.nan), np.ones(3), THRESHOLDS, np.ones((1, 3), int))).all()
