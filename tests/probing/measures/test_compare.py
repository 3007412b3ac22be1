"""A difference of two results: paired on the same resamples, tested, corrected."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from embedkit.errors import EmbedkitError
from embedkit.probing.measures.bootstrap import intervals, replicates_of, resamples
from embedkit.probing.measures.compare import bootstrap_p, holm, paired, permutation, unpaired
from embedkit.probing.measures.delong import delong
from embedkit.probing.measures.metrics import NAMES, Judged, measure


def judged(codes: np.ndarray, scores: np.ndarray, fold: np.ndarray | None = None) -> Judged:
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    fold = np.zeros(len(codes), int) if fold is None else fold
    return Judged(np.eye(scores.shape[1])[codes], scores, fold, exclusive=True)


def pair_of(n: int, classes: int, seed: int, better: float = 0.0) -> tuple[Judged, Judged, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes, groups = rng.integers(classes, size=n), np.unique(rng.integers(n // 2, size=n), return_inverse=True)[1]
    shared = rng.normal(size=(n, classes)) + np.eye(classes)[codes]
    a, b = (shared + 0.7 * rng.normal(size=(n, classes)) + extra * np.eye(classes)[codes] for extra in (better, 0.0))
    if classes == 2:
        a, b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    return judged(codes, a), judged(codes, b), groups


def test_both_are_judged_on_the_same_resamples() -> None:
    a, b, groups = pair_of(90, 3, 0)
    found = paired(a, b, groups, 100, 4)
    assert tuple(found) == NAMES
    codes = a.truth.argmax(axis=1)
    looped = []
    for weights in np.concatenate(list(resamples(groups, 100, 4))):
        rows = np.repeat(np.arange(90), weights)
        one, other = (
            np.mean([roc_auc_score(codes[rows] == k, side.scores[rows, k]) for k in range(3)]) for side in (a, b)
        )
        looped.append(one - other)
    assert found["auc"]["low"] == pytest.approx(np.quantile(looped, 0.025), abs=1e-12)
    assert found["auc"]["high"] == pytest.approx(np.quantile(looped, 0.975), abs=1e-12)
    assert found["auc"]["value"] == pytest.approx(found["auc"]["a"] - found["auc"]["b"], abs=1e-15)
    assert found["auc"]["p"] == bootstrap_p(np.array(looped))
    assert found["auc"]["p_method"] == "paired cluster bootstrap"
    json.dumps(found, allow_nan=False)


def test_a_pair_is_narrower_than_two_sets() -> None:
    a, b, groups = pair_of(200, 3, 1)
    together = paired(a, b, groups, 500, 0, ["auc"])["auc"]
    apart = unpaired(a, groups, b, groups, 500, 0, ["auc"])["auc"]
    assert together["value"] == apart["value"]
    assert together["high"] - together["low"] < 0.8 * (apart["high"] - apart["low"])
    assert "unpaired cluster bootstrap" in apart["method"]


def test_numbers_are_those_of_either_result() -> None:
    a, b, groups = pair_of(80, 4, 2)
    found = paired(a, b, groups, 50, 0, ["f1_macro", "accuracy"])
    assert list(found) == ["f1_macro", "accuracy"]
    ones = np.ones((1, 80), int)
    for name, difference in found.items():
        assert difference["a"] == measure(a, ones)[0, NAMES.index(name)]
        assert difference["b"] == measure(b, ones)[0, NAMES.index(name)]


def test_swapping_the_two_mirrors_the_difference() -> None:
    a, b, groups = pair_of(100, 3, 3, better=0.3)
    there, back = paired(a, b, groups, 200, 0)["auc"], paired(b, a, groups, 200, 0)["auc"]
    assert (there["low"], there["high"]) == pytest.approx((-back["high"], -back["low"]), abs=1e-12)
    assert (there["bca_low"], there["bca_high"]) == pytest.approx((-back["bca_high"], -back["bca_low"]), abs=1e-9)
    assert there["p"] == back["p"]


def test_a_result_does_not_differ_from_itself() -> None:
    a, _, groups = pair_of(60, 3, 4)
    for difference in paired(a, a, groups, 100, 0).values():
        assert [difference[name] for name in ("value", "low", "high", "bca_low", "bca_high")] == [0.0] * 5
        assert difference["p"] == 1
    assert permutation(a, a, groups, 50, 0) == 1


def test_delongs_p_is_for_two_classes_one_fold_and_independent_images() -> None:
    a, b, groups = pair_of(120, 2, 5)
    alone = np.arange(120)
    expected = delong(a.truth[:, 1] == 1, np.column_stack([a.scores[:, 1], b.scores[:, 1]])).difference()[-1]
    found = paired(a, b, alone, 100, 0)
    assert (found["auc"]["p"], found["auc"]["p_method"]) == (expected, "DeLong")
    assert found["accuracy"]["p_method"] == "paired bootstrap"
    assert paired(a, b, groups, 100, 0)["auc"]["p_method"] == "paired cluster bootstrap"
    fold = alone % 2
    halves = [Judged(side.truth, side.scores, fold, True) for side in (a, b)]
    assert paired(*halves, alone, 100, 0)["auc"]["p_method"] == "paired bootstrap"
    label = [Judged(side.truth[:, 1:], side.scores[:, 1:], side.fold, False) for side in (a, b)]
    assert paired(*label, alone, 100, 0)["auc"]["p"] == expected


def test_bootstrap_and_delong_agree() -> None:
    a, b, _ = pair_of(400, 2, 6, better=0.25)
    found = paired(a, b, np.arange(400), 4000, 0)["auc"]
    value, low, high, p = delong(a.truth[:, 1] == 1, np.column_stack([a.scores[:, 1], b.scores[:, 1]])).difference()
    assert found["value"] == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose([found["low"], found["high"]], [low, high], atol=0.1 * (high - low))
    draws = replicates_of(lambda W: (measure(a, W) - measure(b, W))[:, :1], np.arange(400), 4000, 0)[1]
    assert bootstrap_p(draws[:, 0]) == pytest.approx(p, abs=0.03)


def test_bootstrap_p_by_hand() -> None:
    assert bootstrap_p(np.array([0.1] * 97 + [-0.1] * 2)) == pytest.approx(2 * 3 / 100)
    assert bootstrap_p(np.full(99, 0.1)) == pytest.approx(2 / 100)
    assert bootstrap_p(np.array([0.1] * 97 + [np.nan, 0.0])) == pytest.approx(2 * 2 / 99)
    assert bootstrap_p(np.zeros(9)) == 1
    assert bootstrap_p(np.full(3, np.nan)) is None


def test_unpaired_draws_are_independent() -> None:
    a, b, _ = pair_of(60, 3, 7)
    groups = np.arange(60)
    found = unpaired(a, groups, a, groups, 2000, 0, ["auc"])["auc"]
    assert found["value"] == 0
    alone = intervals(lambda W: measure(a, W), groups, 2000, 0)[0]
    # The same set twice: had both the same draws, the interval would be a point; independent it is sqrt(2) as wide.
    assert found["high"] - found["low"] == pytest.approx(np.sqrt(2) * (alone["high"] - alone["low"]), rel=0.1)
    assert found["p"] > 0.5
    assert unpaired(a, groups, b, np.zeros(60, int), 50, 0)["auc"]["low"] is None


def test_unpaired_takes_sets_of_different_size() -> None:
    a, _, groups = pair_of(300, 3, 8, better=2.0)
    _, b, other = pair_of(80, 3, 9)
    found = unpaired(a, groups, b, other, 500, 0, ["auc"])["auc"]
    assert found["low"] > 0
    assert found["p"] == pytest.approx(2 / 501)


def exhausted(a: Judged, b: Judged, groups: np.ndarray) -> float:
    """The permutation p over all swaps, ranks and AUCs by scipy and scikit-learn."""
    positive, values = a.truth[:, 1] == 1, []
    one, other = (stats.rankdata(side.scores[:, 1]) for side in (a, b))
    for coins in product([False, True], repeat=int(groups.max()) + 1):
        swap = np.array(coins)[groups]
        values.append(
            roc_auc_score(positive, np.where(swap, other, one)) - roc_auc_score(positive, np.where(swap, one, other))
        )
    return float(np.mean(np.abs(values) >= abs(values[0]) - 1e-12))


def test_permutation_is_that_of_all_swaps() -> None:
    rng = np.random.default_rng(10)
    codes, groups = np.arange(24) % 2, np.arange(24) // 3
    # Scores of quite different scales, with ties.
    a = judged(codes, np.round(rng.normal(size=24) + 0.8 * codes, 1))
    b = judged(codes, 1000 * np.round(rng.normal(size=24), 1))
    expected = exhausted(a, b, groups)
    assert 0.02 < expected < 0.5
    assert permutation(a, b, groups, 4000, 0) == pytest.approx(expected, abs=0.02)


def test_permutation_is_uniform_where_there_is_no_difference() -> None:
    p_values = []
    for seed in range(400):
        a, b, groups = pair_of(40, 2, 1000 + seed)
        p_values.append(permutation(a, b, groups, 99, seed))
    assert stats.kstest(p_values, "uniform").pvalue > 0.05


def test_permutation_finds_a_difference_in_every_fold_and_class() -> None:
    a, b, groups = pair_of(200, 3, 11, better=1.0)
    fold = np.arange(200) % 2
    # A fold whose scores are louder must not matter.
    loud = [Judged(side.truth, side.scores + 100 * fold[:, None], fold, True) for side in (a, b)]
    quiet = [Judged(side.truth, side.scores, fold, True) for side in (a, b)]
    assert permutation(*quiet, groups, 199, 0) == permutation(*loud, groups, 199, 0) == 1 / 200


def test_permutation_of_labels_leaves_out_what_is_not_judged() -> None:
    rng = np.random.default_rng(12)
    truth = (rng.random((60, 2)) < 0.4).astype(float)
    scores = rng.normal(size=(60, 2)) + truth
    truth[:, 1] = np.nan
    groups = np.arange(60)
    both = [Judged(truth, scores + extra, np.zeros(60, int), False) for extra in (0, rng.normal(size=(60, 2)))]
    alone = [Judged(side.truth[:, :1], side.scores[:, :1], side.fold, False) for side in both]
    assert permutation(*both, groups, 99, 0) == permutation(*alone, groups, 99, 0)
    nothing = Judged(np.full((60, 2), np.nan), scores, np.zeros(60, int), False)
    assert permutation(nothing, nothing, groups, 9, 0) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_definition(p: list[float]) -> None:
    adjusted = holm(p)
    order = sorted(range(len(p)), key=p.__getitem__)
    for place, i in enumerate(order):
        expected = max(min(1.0, (len(p) - earlier) * p[order[earlier]]) for earlier in range(place + 1))
        assert adjusted[i] == pytest.approx(expected, abs=1e-12)


def test_holm_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_what_cannot_be_paired_is_refused() -> None:
    a, b, groups = pair_of(30, 3, 13)
    turned = Judged(b.truth[::-1], b.scores, b.fold, True)
    shorter = Judged(b.truth[:-1], b.scores[:-1], b.fold[:-1], True)
    for other in (turned, shorter):
        with pytest.raises(EmbedkitError, match="compare them unpaired"):
            paired(a, other, groups, 10, 0)
        with pytest.raises(EmbedkitError, match="compare them unpaired"):
            permutation(a, other, groups, 10, 0)
    with pytest.raises(EmbedkitError, match="different folds"):
        permutation(a, Judged(b.truth, b.scores, np.arange(30) % 2, True), groups, 10, 0)
    with pytest.raises(EmbedkitError, match="'acc'"):
        paired(a, b, groups, 10, 0, ["acc"])
