"""Intervals rest on groups, are those of a plain loop, and are honest about what they can't say."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from embedkit.probing.measures import bootstrap
from embedkit.probing.measures.bootstrap import intervals, jackknife, replicates_of, resamples
from embedkit.probing.measures.metrics import Judged, class_aucs, measure


def mean_of(values: np.ndarray) -> bootstrap.Statistic:
    return lambda W: (W @ values / W.sum(axis=1))[:, None]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_images_of_a_group_are_drawn_together(groups: list[int], seed: int) -> None:
    codes = np.unique(groups, return_inverse=True)[1]
    W = np.concatenate(list(resamples(codes, 7, seed)))
    assert W.shape == (7, len(codes))
    first = [np.flatnonzero(codes == g)[0] for g in range(codes.max() + 1)]
    assert (W[:, first].sum(axis=1) == len(first)).all()
    np.testing.assert_array_equal(W, W[:, first][:, codes])


@pytest.mark.parametrize("images", [30, 33, 34])
def test_resamples_do_not_depend_on_how_many_fit_into_memory(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    codes = np.arange(images) // 3
    whole = np.concatenate(list(resamples(codes, 50, 1)))
    monkeypatch.setattr(bootstrap, "_CELLS_AT_ONCE", 100)
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 7)
    pieces = list(resamples(codes, 50, 1))
    assert len(pieces) > 10
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert not np.array_equal(whole, np.concatenate(list(resamples(codes, 50, 2))))


def test_interval_is_that_of_a_loop_over_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    n = 120
    codes, groups = rng.integers(3, size=n), np.unique(rng.integers(40, size=n), return_inverse=True)[1]
    scores = rng.normal(size=(n, 3)) + np.eye(3)[codes]
    judged = Judged(np.eye(3)[codes], scores, np.zeros(n, int), exclusive=True)
    auc = intervals(lambda W: measure(judged, W), groups, 200, 7)[0]
    looped = []
    for weights in np.concatenate(list(resamples(groups, 200, 7))):
        rows = np.repeat(np.arange(n), weights)
        looped.append(np.mean([roc_auc_score(codes[rows] == k, scores[rows, k]) for k in range(3)]))
    assert auc["low"] == pytest.approx(np.quantile(looped, 0.025), abs=1e-12)
    assert auc["high"] == pytest.approx(np.quantile(looped, 0.975), abs=1e-12)
    assert auc["value"] == pytest.approx(
        np.mean([roc_auc_score(codes == k, scores[:, k]) for k in range(3)]), abs=1e-12
    )
    assert auc["method"] == "95% percentile, cluster bootstrap, 200 replicates"


def test_alike_images_of_a_patient_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 8)
    values = rng.normal(size=50)[groups]
    by_patient, by_image = (intervals(mean_of(values), codes, 1000, 0)[0] for codes in (groups, np.arange(400)))
    ratio = (by_patient["high"] - by_patient["low"]) / (by_image["high"] - by_image["low"])
    assert ratio == pytest.approx(np.sqrt(8), rel=0.15)
    assert "cluster" in by_patient["method"]
    assert "cluster" not in by_image["method"]


def one_score(positive: np.ndarray, scores: np.ndarray) -> Judged:
    codes = positive.astype(int)
    return Judged(np.eye(2)[codes], np.column_stack([-scores, scores]), np.zeros(len(scores), int), exclusive=True)


def auc_of(judged: Judged) -> bootstrap.Statistic:
    return lambda W: class_aucs(judged, W)[:, 1:]


PATIENTS, SHIFT = 160, 1.2
# Any two images of different classes are of different patients, and each score has variance 1 + 1 around its mean.
TRUE_AUC = stats.norm.cdf(SHIFT / np.sqrt(2 * (1 + 1)))


def simulated(rng: np.random.Generator) -> tuple[bootstrap.Statistic, np.ndarray]:
    """Three images per patient, half of the variance of their scores between patients."""
    groups = np.repeat(np.arange(PATIENTS), 3)
    positive = (rng.permutation(PATIENTS) < PATIENTS // 2)[groups]
    scores = SHIFT * positive + rng.normal(size=PATIENTS)[groups] + rng.normal(size=len(groups))
    return auc_of(one_score(positive, scores)), groups


def test_intervals_of_clustered_data_cover_the_truth() -> None:
    rng = np.random.default_rng(1)
    simulations, covered = 1000, np.zeros(2)
    for seed in range(simulations):
        statistic, groups = simulated(rng)
        found = intervals(statistic, groups, 300, seed)[0]
        covered += [found["low"] <= TRUE_AUC <= found["high"], found["bca_low"] <= TRUE_AUC <= found["bca_high"]]
    # Of 1,000 simulations an exact 95 % covers 93.6 to 96.4 % with probability .95.
    percentile, bca = covered / simulations
    assert 0.93 <= percentile <= 0.97
    assert 0.93 <= bca <= 0.97


def test_an_interval_by_image_covers_less() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        statistic, groups = simulated(rng)
        found = intervals(statistic, np.arange(len(groups)), 300, seed)[0]
        covered += found["low"] <= TRUE_AUC <= found["high"]
    # The variance is twice what the images would have alone: 1.96 / sqrt(2) covers 83 %.
    assert covered / 300 == pytest.approx(0.834, abs=0.06)


def test_pairs_rest_on_the_same_resamples() -> None:
    rng = np.random.default_rng(4)
    groups, values = np.arange(60) // 2, rng.normal(size=60)
    _, draws = replicates_of(mean_of(values), groups, 300, 5)
    point, shifted = replicates_of(mean_of(values + 3), groups, 300, 5)
    assert point[0] == pytest.approx(values.mean() + 3)
    np.testing.assert_allclose(shifted - draws, 3, atol=1e-12)
    by_hand = [np.average(values, weights=weights) for weights in np.concatenate(list(resamples(groups, 300, 5)))]
    np.testing.assert_allclose(draws[:, 0], by_hand, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_bca_interval_is_scipys(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=40)
    found = intervals(mean_of(values), np.arange(40), 20_000, seed)[0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=seed).confidence_interval
    # Two sets of resamples: each end is known to about a hundredth of the width.
    width = theirs.high - theirs.low
    assert found["bca_low"] == pytest.approx(theirs.low, abs=0.03 * width)
    assert found["bca_high"] == pytest.approx(theirs.high, abs=0.03 * width)
    # The mean of skewed values is skewed: BCa shifts both ends up by far more than that.
    assert found["bca_high"] - found["high"] > 0.03 * width


def test_bca_levels_are_efrons_formula() -> None:
    rng = np.random.default_rng(3)
    groups, values = np.arange(90) // 3, rng.lognormal(size=90)
    _, draws = replicates_of(mean_of(values), groups, 999, 0)
    found = intervals(mean_of(values), groups, 999, 0)[0]
    point = values.mean()
    without = np.array([values[groups != g].mean() for g in range(30)])
    d = without.mean() - without
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z0 = stats.norm.ppf((draws < point).mean())
    ends = []
    for tail in (0.025, 0.975):
        z = z0 + stats.norm.ppf(tail)
        ends.append(np.quantile(draws, stats.norm.cdf(z0 + z / (1 - a * z))))
    np.testing.assert_allclose([found["bca_low"], found["bca_high"]], ends, atol=1e-12)


def test_draws_equal_to_the_value_are_no_bias() -> None:
    draws, influences = np.array([0.5] * 60 + [0.4] * 20 + [0.6] * 20), np.array([1.0, -1.0])
    found = bootstrap.interval(0.5, draws, influences, "bootstrap")
    assert (found["bca_low"], found["bca_high"]) == (found["low"], found["high"]) == (0.4, 0.6)


def test_acceleration_of_blocks_is_that_of_single_groups() -> None:
    def acceleration(influences: np.ndarray) -> float:
        return float((influences**3).sum() / (6 * (influences**2).sum() ** 1.5))

    rng = np.random.default_rng(2)
    values = rng.exponential(size=6000)
    blocked = jackknife(mean_of(values), np.arange(6000))
    assert len(blocked) == 500
    expected = acceleration(values - values.mean())
    assert expected == pytest.approx(2 / 6 / np.sqrt(6000), rel=0.15)
    # The third moment of 500 blocks is a noisy one: 2 blocks' skewness is known to sqrt(6 / 500) = .11, against .58.
    assert acceleration(blocked[:, 0]) == pytest.approx(expected, rel=0.6)
    assert blocked.sum() == pytest.approx(0, abs=1e-12)
    assert np.sqrt((blocked**2).sum()) == pytest.approx(values.std() / np.sqrt(6000), rel=0.1)


def test_blocks_of_the_jackknife_share_the_groups_evenly() -> None:
    groups = np.arange(1237).repeat(2)
    left_out = []

    def statistic(W: np.ndarray) -> np.ndarray:
        left_out.append(W == 0)
        return W.sum(axis=1, keepdims=True).astype(float)

    jackknife(statistic, groups)
    out = np.concatenate(left_out)
    np.testing.assert_array_equal(out.sum(axis=0), 1)
    assert set(out.sum(axis=1).tolist()) == {4, 6}
    np.testing.assert_array_equal(out[:, ::2], out[:, 1::2])


@pytest.mark.parametrize("seed", range(5))
def test_a_perfect_ranking_has_an_interval_of_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(30) < 10
    found = intervals(auc_of(one_score(positive, positive + rng.random(30) / 2)), np.arange(30) // 3, 200, seed)[0]
    assert [found[name] for name in ("value", "low", "high", "bca_low", "bca_high")] == [1.0] * 5


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_few_groups_give_numbers_or_none_never_nan(patients: int, each: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.arange(patients).repeat(each)
    positive, scores = rng.random(len(groups)) < 0.3, rng.integers(4, size=len(groups)).astype(float)
    for found in intervals(lambda W: measure(one_score(positive, scores), W), groups, 40, seed):
        json.dumps(found, allow_nan=False)
        if found["low"] is not None:
            assert 0 <= found["low"] <= found["high"] <= 1
            assert 0 <= found["bca_low"] <= found["bca_high"] <= 1
        if found["value"] is None:
            assert found["low"] is found["bca_low"] is None


def test_one_group_has_no_interval() -> None:
    found = intervals(mean_of(np.arange(5.0)), np.zeros(5, int), 100, 0)[0]
    none = dict.fromkeys(("low", "high", "bca_low", "bca_high"))
    assert found == {"value": 2.0, **none, "method": "no interval: all images belong to one group"}


def test_replicates_in_which_a_number_is_not_defined_are_counted() -> None:
    truth = np.eye(2)[[0, 1, 0, 1, 1, 0]]
    scores = np.array([0.1, 0.9, 0.3, 0.2, 0.6, 0.5])
    judged = Judged(truth, np.column_stack([-scores, scores]), np.zeros(6, int), exclusive=True)
    auc = intervals(lambda W: measure(judged, W), np.arange(6), 500, 0)[0]
    used = int(auc["method"].split(" of ")[0].rsplit(" ", 1)[1])
    assert auc["method"] == f"95% percentile, bootstrap, {used} of 500 replicates"
    # Both classes are missed with probability 2 * (1/2)^6.
    assert 500 - used == pytest.approx(500 * 2 / 64, abs=15)


def test_an_undefined_number_is_none() -> None:
    found = intervals(lambda W: np.full((len(W), 1), np.nan), np.arange(4), 10, 0)[0]
    assert {found[name] for name in ("value", "low", "high", "bca_low", "bca_high")} == {None}
