"""Every number, under every weighting, is scikit-learn's with ``sample_weight``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from embedkit.probing.measures.metrics import NAMES, Judged, class_aucs, measure, weighted_auc


@st.composite
def binary_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    # Few different values, so that ties are the rule.
    scores = draw(st.lists(st.integers(-3, 3) | st.floats(-2, 2), min_size=n, max_size=n))
    positive = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weights = draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=4))
    return np.array(scores, float), np.array(positive), np.array(weights, np.int64)


@given(binary_cases())
@settings(deadline=None)
def test_weighted_auc_is_scikit_learns(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, positive, W = case
    found = weighted_auc(scores, positive, W)
    for weights, auc in zip(W, found, strict=True):
        if weights[positive].any() and weights[~positive].any():
            assert auc == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights), abs=1e-10)
        else:
            assert np.isnan(auc)


@given(binary_cases())
@settings(deadline=None, max_examples=50)
def test_a_weight_is_so_many_copies(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, positive, W = case
    for weights, auc in zip(W, weighted_auc(scores, positive, W), strict=True):
        copies = np.repeat(np.arange(len(scores)), weights)
        alone = weighted_auc(scores[copies], positive[copies], np.ones((1, len(copies)), np.int64))[0]
        assert auc == pytest.approx(alone, abs=1e-12, nan_ok=True)


def test_weighted_auc_takes_real_weights() -> None:
    rng = np.random.default_rng(0)
    scores, positive, W = rng.integers(5, size=50) / 2, rng.random(50) < 0.4, rng.random((3, 50))
    expected = [roc_auc_score(positive, scores, sample_weight=weights) for weights in W]
    np.testing.assert_allclose(weighted_auc(scores, positive, W), expected, atol=1e-12)


def test_order_is_all_that_counts_and_turning_it_round_mirrors_it() -> None:
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(9, size=80).astype(float), rng.random(80) < 0.3
    W = rng.integers(4, size=(5, 80))
    auc = weighted_auc(scores, positive, W)
    np.testing.assert_array_equal(auc, weighted_auc(np.exp(scores), positive, W))
    np.testing.assert_allclose(1 - auc, weighted_auc(-scores, positive, W), atol=1e-15)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_all_numbers_of_classes_are_scikit_learns(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    codes = rng.integers(classes, size=n)
    scores = np.round(rng.normal(size=(n, classes)) + np.eye(classes)[codes], 1)
    if classes == 2:
        scores = np.column_stack([-scores[:, 1], scores[:, 1]])
    W = rng.integers(3, size=(6, n))
    W[0, codes == 0] = 0  # a replicate that lost a class
    found = measure(Judged(np.eye(classes)[codes], scores, np.zeros(n, int), exclusive=True), W)
    predicted = scores.argmax(axis=1)
    for weights, row in zip(W, found, strict=True):
        kept = weights > 0
        present = np.unique(codes[kept])
        judged = present if len(present) > 1 else []
        aucs = [
            roc_auc_score(codes == k, scores[:, k], sample_weight=weights) if k in judged else np.nan
            for k in range(classes)
        ]
        np.testing.assert_allclose(row[len(NAMES) :], aucs, atol=1e-10)
        truth = {"y_true": codes[kept], "y_pred": predicted[kept], "sample_weight": weights[kept]}
        recalls = [np.average(predicted[codes == k] == k, weights=weights[codes == k]) for k in present]
        f1 = f1_score(**truth, labels=present, average="macro", zero_division=0)
        precisions = [
            average_precision_score(codes == k, scores[:, k], sample_weight=weights)
            for k in ([1] if classes == 2 else present)
            if k in present
        ]
        expected = [
            np.nanmean(aucs) if len(present) > 1 else np.nan,
            accuracy_score(**truth),
            np.mean(recalls),
            f1,
            np.mean(precisions) if precisions else np.nan,
        ]
        np.testing.assert_allclose(row[: len(NAMES)], expected, atol=1e-10)
        if set(predicted[kept]) <= set(present):
            assert row[2] == pytest.approx(balanced_accuracy_score(**truth), abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_all_numbers_of_labels_are_means_over_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, labels = 70, 4
    truth = (rng.random((n, labels)) < 0.4).astype(float)
    scores = np.round(rng.normal(size=(n, labels)) + truth, 1)
    truth[rng.random((n, labels)) < 0.2] = np.nan
    W = rng.integers(3, size=(5, n))
    found = measure(Judged(truth, scores, np.zeros(n, int), exclusive=False), W)
    for weights, row in zip(W, found, strict=True):
        expected = []
        for k in range(labels):
            known = ~np.isnan(truth[:, k]) & (weights > 0)
            held, score, weight = truth[known, k], scores[known, k], weights[known]
            said = {"y_true": held, "y_pred": (score > 0).astype(float), "sample_weight": weight}
            expected.append(
                [
                    roc_auc_score(held, score, sample_weight=weight),
                    accuracy_score(**said),
                    balanced_accuracy_score(**said),
                    f1_score(**said),
                    average_precision_score(held, score, sample_weight=weight),
                ]
            )
        np.testing.assert_allclose(row[: len(NAMES)], np.mean(expected, axis=0), atol=1e-10)
        np.testing.assert_allclose(row[len(NAMES) :], np.array(expected)[:, 0], atol=1e-10)


def test_scores_of_different_folds_are_never_compared() -> None:
    rng = np.random.default_rng(3)
    n = 90
    codes, fold = rng.integers(3, size=n), rng.integers(2, size=n)
    scores = rng.normal(size=(n, 3)) + np.eye(3)[codes]
    ones = np.ones((1, n), np.int64)
    plain = class_aucs(Judged(np.eye(3)[codes], scores, fold, exclusive=True), ones)
    # A fold whose classifier says everything louder must not change a ranking.
    shifted = class_aucs(Judged(np.eye(3)[codes], scores + 100 * fold[:, None], fold, exclusive=True), ones)
    np.testing.assert_array_equal(plain, shifted)
    expected = [
        np.mean([roc_auc_score(codes[fold == f] == k, scores[fold == f, k]) for f in range(2)]) for k in range(3)
    ]
    np.testing.assert_allclose(plain[0], expected, atol=1e-12)


def test_average_precision_is_the_mean_over_folds() -> None:
    rng = np.random.default_rng(8)
    n = 90
    codes, fold = rng.integers(3, size=n), rng.integers(2, size=n)
    scores = np.round(rng.normal(size=(n, 3)) + np.eye(3)[codes], 1) + 100 * fold[:, None]
    found = measure(Judged(np.eye(3)[codes], scores, fold, exclusive=True), np.ones((1, n), np.int64))
    expected = [
        average_precision_score(codes[fold == f] == k, scores[fold == f, k]) for f in range(2) for k in range(3)
    ]
    assert found[0, NAMES.index("average_precision")] == pytest.approx(np.mean(expected), abs=1e-12)


def test_average_precision_of_two_classes_is_that_of_the_second() -> None:
    rng = np.random.default_rng(9)
    positive = rng.random(200) < 0.05
    scores = rng.normal(size=200) + positive
    judged = Judged(np.eye(2)[positive.astype(int)], np.column_stack([-scores, scores]), np.zeros(200, int), True)
    found = measure(judged, np.ones((1, 200), np.int64))[0, NAMES.index("average_precision")]
    assert found == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


def test_a_fold_without_a_class_is_left_out_of_its_mean() -> None:
    codes, fold = np.array([0, 1, 0, 1, 0, 0]), np.array([0, 0, 0, 0, 1, 1])
    scores = np.array([0.1, 0.9, 0.2, 0.15, 0.3, 0.4])
    judged = Judged(np.eye(2)[codes], np.column_stack([-scores, scores]), fold, exclusive=True)
    assert measure(judged, np.ones((1, 6), np.int64))[0, 0] == 0.75


def test_macro_auc_is_not_defined_for_one_class() -> None:
    judged = Judged(np.eye(2)[[1, 1]], np.array([[-1.0, 1.0], [1.0, -1.0]]), np.zeros(2, int), exclusive=True)
    assert np.isnan(measure(judged, np.ones((1, 2), np.int64))[0, 0])
