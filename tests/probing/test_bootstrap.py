"""Intervals rest on groups, are those of a plain loop, and are honest about what they can't say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from embedkit.probing import bootstrap
from embedkit.probing.bootstrap import intervals, resamples
from embedkit.probing.metrics import Judged, measure


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


def test_resamples_do_not_depend_on_how_many_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.arange(30) // 3
    whole = np.concatenate(list(resamples(codes, 50, 1)))
    monkeypatch.setattr(bootstrap, "_CELLS_AT_ONCE", 100)
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


def test_interval_of_clustered_data_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 4)
    covered = []
    for seed in range(200):
        values = (rng.normal(size=60)[groups] + rng.normal(size=240)).astype(float)
        found = intervals(mean_of(values), groups, 400, seed)[0]
        covered.append(found["low"] <= 0 <= found["high"])
    assert 0.90 <= np.mean(covered) <= 0.98


def test_one_group_has_no_interval() -> None:
    found = intervals(mean_of(np.arange(5.0)), np.zeros(5, int), 100, 0)[0]
    assert found == {"value": 2.0, "low": None, "high": None, "method": "no interval: all images belong to one group"}


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
    assert (found["value"], found["low"], found["high"]) == (None, None, None)
