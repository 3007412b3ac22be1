"""Calibration numbers are those of scikit-learn or of a plain loop; the fitted temperature is the true one."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.bootstrap import intervals, replicates_of, resamples
from embedkit.probing.measures.calibration import (
    ERROR,
    bins_moved,
    claims,
    fit_temperature,
    measure_calibration,
    probabilities,
    reliability,
)


def looped_error(held: np.ndarray, claimed: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        inside = (claimed > b / 15) & (claimed <= (b + 1) / 15) | ((b == 0) & (claimed == 0))
        if weights[inside].sum():
            gap = np.average(held[inside], weights=weights[inside]) - np.average(
                claimed[inside], weights=weights[inside]
            )
            total += weights[inside].sum() / weights.sum() * abs(gap)
    return total


def drawn(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and truths drawn from the probabilities that these mean."""
    rng = np.random.default_rng(seed)
    scores = 2 * rng.normal(size=(n, classes))
    codes = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return scores, np.eye(classes)[codes]


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_classes(seed: int) -> None:
    scores, truth = drawn(150, 4, seed)
    probability = probabilities(1.7 * scores, exclusive=True)
    W = np.random.default_rng(seed).integers(3, size=(4, 150))
    found = measure_calibration(truth, probability, True, W)
    likeliest = probability.argmax(axis=1)
    for weights, (brier, error) in zip(W, found, strict=True):
        assert brier == pytest.approx(np.average(((probability - truth) ** 2).sum(axis=1), weights=weights), abs=1e-12)
        right = truth[np.arange(150), likeliest]
        assert error == pytest.approx(looped_error(right, probability.max(axis=1), weights), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_two_classes_are_of_the_second(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = rng.normal(size=100)
    truth = np.eye(2)[(rng.random(100) < expit(s)).astype(int)]
    probability = probabilities(np.column_stack([-s, s]), exclusive=True)
    W = rng.integers(3, size=(4, 100))
    for weights, (brier, error) in zip(W, measure_calibration(truth, probability, True, W), strict=True):
        expected = brier_score_loss(truth[:, 1], probability[:, 1], sample_weight=weights)
        assert brier == pytest.approx(expected, abs=1e-12)
        assert error == pytest.approx(looped_error(truth[:, 1], expit(s), weights), abs=1e-12)


def test_numbers_of_labels_are_means_over_labels_of_what_is_judged() -> None:
    rng = np.random.default_rng(5)
    truth, probability = (rng.random((90, 3)) < 0.4).astype(float), rng.random((90, 3))
    truth[rng.random((90, 3)) < 0.3] = np.nan
    W = rng.integers(3, size=(2, 90))
    for weights, row in zip(W, measure_calibration(truth, probability, False, W), strict=True):
        each = []
        for k in range(3):
            known = ~np.isnan(truth[:, k])
            held, claimed, weight = truth[known, k], probability[known, k], weights[known]
            each.append((brier_score_loss(held, claimed, sample_weight=weight), looped_error(held, claimed, weight)))
        np.testing.assert_allclose(row, np.mean(each, axis=0), atol=1e-12)


def test_a_label_that_is_never_judged_is_left_out() -> None:
    truth, probability = np.array([[1.0, np.nan], [0.0, np.nan]]), np.full((2, 2), 0.5)
    np.testing.assert_allclose(measure_calibration(truth, probability, False, np.ones((1, 2), int)), [[0.25, 0.0]])
    nothing = measure_calibration(np.full((2, 1), np.nan), np.full((2, 1), 0.5), False, np.ones((1, 2), int))
    assert np.isnan(nothing).all()


def test_a_perfect_and_a_wrong_oracle() -> None:
    truth, ones = np.eye(3)[[0, 1, 2, 0]], np.ones((1, 4), int)
    np.testing.assert_array_equal(measure_calibration(truth, truth, True, ones), [[0, 0]])
    np.testing.assert_array_equal(measure_calibration(truth, np.roll(truth, 1, axis=1), True, ones), [[2, 1]])


@given(st.integers(2, 5), st.floats(0.05, 20), st.booleans(), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_probabilities_are_probabilities_and_keep_the_order(
    classes: int, temperature: float, exclusive: bool, seed: int
) -> None:
    scores = np.random.default_rng(seed).normal(size=(7, classes))
    if exclusive and classes == 2:
        scores[:, 0] = -scores[:, 1]
    found = probabilities(scores, exclusive, temperature)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))
    if exclusive:
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_probabilities_by_hand() -> None:
    scores = np.array([[1.0, 2.0, -np.inf]])
    np.testing.assert_allclose(probabilities(scores, True, 2.0), [[*softmax([0.5, 1.0]), 0.0]])
    np.testing.assert_allclose(probabilities(scores, False, 2.0), [[*expit([0.5, 1.0]), 0.0]])
    np.testing.assert_allclose(probabilities(np.array([[-3.0, 3.0]]), True, 3.0), [expit([-1.0, 1.0])])


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_temperature_of_classes_is_found(temperature: float) -> None:
    scores, truth = drawn(20_000, 3, 0)
    assert fit_temperature(scores * temperature, truth, True) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_temperature_of_labels_and_of_two_classes_is_found(temperature: float) -> None:
    rng = np.random.default_rng(1)
    scores = 2 * rng.normal(size=(20_000, 1))
    truth = (rng.random((20_000, 1)) < expit(scores)).astype(float)
    assert fit_temperature(scores * temperature, truth, False) == pytest.approx(temperature, rel=0.05)
    two = fit_temperature(np.hstack([-scores, scores]) * temperature, np.hstack([1 - truth, truth]), True)
    assert two == pytest.approx(fit_temperature(scores * temperature, truth, False), rel=1e-6)


def test_no_other_temperature_has_a_lower_loss() -> None:
    scores, truth = drawn(300, 4, 3)
    scores = 3 * scores + np.random.default_rng(0).normal(size=scores.shape)
    fitted = fit_temperature(scores, truth, True)
    losses = {t: log_loss(truth, probabilities(scores, True, t)) for t in (fitted, *np.geomspace(0.1, 30, 200))}
    assert min(losses, key=losses.__getitem__) == fitted


def test_temperature_lowers_the_calibration_error() -> None:
    scores, truth = drawn(4000, 5, 4)
    halves = slice(0, 2000), slice(2000, None)
    temperature = fit_temperature(4 * scores[halves[0]], truth[halves[0]], True)
    before, after = (
        measure_calibration(truth[halves[1]], probabilities(4 * scores[halves[1]], True, t), True, np.ones((1, 2000)))
        for t in (1.0, temperature)
    )
    assert after[0, 1] < before[0, 1] / 3
    assert after[0, 0] < before[0, 0]


def test_temperature_ignores_what_is_not_judged_and_classes_absent_in_training() -> None:
    scores, truth = drawn(500, 3, 6)
    lost = np.vstack([scores, np.full((20, 3), [0.0, 1.0, -np.inf])])
    held = np.vstack([truth, np.tile([0.0, 0, 1], (20, 1))])
    assert fit_temperature(lost, held, True) == pytest.approx(fit_temperature(scores, truth, True), rel=1e-9)
    labels = (np.random.default_rng(0).random((500, 2)) < expit(scores[:, :2])).astype(float)
    alone = fit_temperature(scores[:100, :2], labels[:100], False)
    labels[100:] = np.nan
    assert fit_temperature(scores[:, :2], labels, False) == pytest.approx(alone, rel=1e-9)


def test_temperature_of_separable_or_reversed_scores_stays_within_its_limits() -> None:
    truth = np.eye(3)[np.arange(30) % 3]
    assert 0.001 <= fit_temperature(truth, truth, True) < 0.05
    assert fit_temperature(-truth, truth, True) == pytest.approx(1000, rel=0.01)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(EmbedkitError, match="validation split"):
        fit_temperature(np.zeros((3, 1)), np.full((3, 1), np.nan), False)


def test_reliability_is_scikit_learns_curve_with_wilsons_interval() -> None:
    rng = np.random.default_rng(7)
    claimed = rng.beta(0.5, 0.5, size=400)
    held = (rng.random(400) < claimed).astype(float)
    curve = reliability(np.append(held, np.nan), np.append(claimed, 0.5), np.arange(len(held) + 1), bins=10)
    shares, means = calibration_curve(held, claimed, n_bins=10)
    np.testing.assert_allclose([entry["share"] for entry in curve], shares)
    np.testing.assert_allclose([entry["probability"] for entry in curve], means)
    assert sum(entry["n"] for entry in curve) == 400
    for entry in curve:
        assert entry["from"] < entry["probability"] <= entry["to"]
        wilson = binomtest(round(entry["share"] * entry["n"]), entry["n"]).proportion_ci(method="wilson")
        assert (entry["low"], entry["high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_empty_bins_are_left_out() -> None:
    curve = reliability(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.arange(2), bins=5)
    assert [(entry["from"], entry["to"]) for entry in curve] == [(0.0, 0.2), (0.8, 1.0)]
    assert (curve[0]["low"], curve[1]["high"]) == (0.0, 1.0)


def test_claims() -> None:
    truth, probability = np.eye(3)[[0, 1]], np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
    held, claimed = claims(truth, probability, True)
    np.testing.assert_array_equal(held, [[1], [0]])
    np.testing.assert_array_equal(claimed, [[0.6], [0.5]])


@given(st.integers(1, 400), st.integers(0, 1))
@settings(deadline=None)
def test_a_bin_that_always_or_never_came_true_lies_within_its_interval(n: int, held: int) -> None:
    [found] = reliability(np.full(n, float(held)), np.full(n, 0.9), np.arange(n))
    assert found["low"] <= found["share"] <= found["high"]
    assert found["share"] == held


def claimed_and_come_true(n: int, factor: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probability of two classes; images of a patient, three each, come true by one throw."""
    claimed = rng.beta(4, 1.5, n)
    held = np.repeat(rng.random(n // 3), 3) < factor * claimed
    return np.column_stack([~held, held]).astype(float), np.column_stack([1 - claimed, claimed])


@pytest.mark.parametrize("factor", [1.0, 0.97, 0.85])
def test_the_interval_of_the_calibration_error_holds_the_truth(factor: float) -> None:
    rng, groups = np.random.default_rng(0), np.arange(240) // 3
    true = (1 - factor) * 4 / 5.5
    covered, percentile = [], []
    for seed in range(200):
        of = *claimed_and_come_true(240, factor, rng), True
        found = intervals(
            lambda W, of=of: measure_calibration(*of, W), groups, 200, seed, {ERROR: partial(bins_moved, *of)}
        )[ERROR]
        assert found["low"] <= found["value"] <= found["high"]
        assert found["method"] == "95% of a length, cluster bootstrap, 200 replicates"
        covered.append(found["low"] <= true <= found["high"])
        draws = replicates_of(lambda W, of=of: measure_calibration(*of, W)[:, 1:], groups, 200, seed)[1]
        percentile.append(np.quantile(draws, 0.025) <= true)
    assert np.mean(covered) >= 0.93
    # As percentiles would not.
    assert factor < 0.9 or np.mean(percentile) < 0.2


@pytest.mark.parametrize("exclusive", [True, False])
def test_bins_move_as_a_loop_says(exclusive: bool) -> None:
    scores, truth = drawn(90, 3, 1)
    probability = probabilities(scores, exclusive)
    if not exclusive:
        truth[::7, 1] = np.nan
    held, claimed = claims(truth, probability, exclusive)

    def vector(j: int, weights: np.ndarray) -> np.ndarray:
        known = ~np.isnan(held[:, j])
        bins = np.ceil(claimed[known, j] * 15) - 1
        gap = weights[known] * (held[known, j] - claimed[known, j])
        return np.array([gap[bins == b].sum() for b in range(15)]) / weights[known].sum()

    W = np.concatenate(list(resamples(np.arange(90) // 2, 5, 0)))
    for weights, moved in zip(W, bins_moved(truth, probability, exclusive, W), strict=True):
        each = [np.abs(vector(j, weights) - vector(j, np.ones(90))).sum() for j in range(held.shape[1])]
        assert moved == pytest.approx(np.mean(each), abs=1e-12)
