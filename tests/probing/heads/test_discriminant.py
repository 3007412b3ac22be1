"""The discriminants are scikit-learn's, for every shrinkage of one covariance."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from embedkit.probing.heads.discriminant import solve
from tests.probing.making import clustered

SHRINKAGES = (1e-3, 0.1, 0.5, 1.0)


def skewed(n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of several scales with large means, and classes of several sizes."""
    X, y, _ = clustered(n, d, classes)
    y = np.where(np.random.default_rng(1).random(n) < 0.3, 0, y)
    return (X * np.logspace(-1, 1, d) + np.linspace(-30, 30, d)).astype(np.float32), y


@pytest.mark.parametrize("solver", ["lsqr", "eigen"])
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(("n", "d"), [(200, 10), (60, 100)])
def test_posteriors_are_those_of_scikit_learn(n: int, d: int, classes: int, balanced: bool, solver: str) -> None:
    X, y = skewed(n + 50, d, classes)
    fitted, wanted = y[:n], X[n:].astype(float)
    priors, weights = None, None
    if balanced:
        priors = np.full(classes, 1 / classes)
        weights = (n / classes / np.bincount(fitted))[fitted]
    coef, intercept = solve(X, np.arange(n), np.eye(classes)[fitted], True, weights, SHRINKAGES)
    for number, shrinkage in enumerate(SHRINKAGES):
        model = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage, priors=priors)
        expected = model.fit(X[:n].astype(float), fitted).decision_function(wanted)
        scores = wanted @ coef[number].T + intercept[number]
        if classes == 2:
            np.testing.assert_allclose(scores, np.column_stack([-expected, expected]), rtol=1e-5, atol=1e-5)
        else:
            centred = expected - expected.mean(axis=1, keepdims=True)
            found = scores - scores.mean(axis=1, keepdims=True)
            np.testing.assert_allclose(found, centred, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_labels_are_fitted_on_the_images_judged_for_them(balanced: bool) -> None:
    X, y = skewed(200, 8, 3)
    truth = np.column_stack([y == 1, X[:, 0] > X[:, 0].mean(), np.arange(200) % 7 == 0]).astype(float)
    truth[::3, 1] = np.nan
    truth[::5, 2] = np.nan
    weights = None
    if balanced:
        known, held = (~np.isnan(truth)).sum(axis=0), np.nansum(truth, axis=0)
        weights = np.nan_to_num(np.where(truth == 1, known / 2 / held, known / 2 / (known - held)))
    coef, intercept = solve(X, np.arange(200), truth, False, weights, (0.2,))
    for k in range(3):
        judged = ~np.isnan(truth[:, k])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2, priors=[0.5, 0.5] if balanced else None)
        expected = model.fit(X[judged].astype(float), truth[judged, k]).decision_function(X.astype(float))
        np.testing.assert_allclose(X @ coef[0, k] + intercept[0, k], expected, rtol=1e-5, atol=1e-5)


def test_only_the_rows_asked_for_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedkit.probing.heads.discriminant._BLOCK", 16)
    X, y = skewed(100, 6, 3)
    rows = np.random.default_rng(0).permutation(100)[:70]
    spoilt = X.copy()
    spoilt[np.setdiff1d(np.arange(100), rows)] = np.nan
    found = solve(spoilt, rows, np.eye(3)[y[rows]], True, None, SHRINKAGES)
    expected = solve(X[rows], np.arange(70), np.eye(3)[y[rows]], True, None, SHRINKAGES)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_absent_classes_and_constant_labels() -> None:
    X, y = skewed(80, 5, 2)
    coef, intercept = solve(X, np.arange(80), np.eye(4)[y + 1], True, None, SHRINKAGES)
    assert (intercept[:, [0, 3]] == -np.inf).all()
    assert not coef[:, [0, 3]].any()
    two = solve(X, np.arange(80), np.eye(2)[y], True, None, SHRINKAGES)
    np.testing.assert_allclose(coef[:, 2] - coef[:, 1], two[0][:, 1], rtol=1e-9)
    np.testing.assert_allclose(intercept[:, 2] - intercept[:, 1], two[1][:, 1], rtol=1e-9)
    truth = np.column_stack([np.ones(80), np.zeros(80), np.full(80, np.nan)])
    coef, intercept = solve(X, np.arange(80), truth, False, None, (0.1,))
    assert not coef.any()
    np.testing.assert_array_equal(intercept, [[1, -1, -1]])


def test_classes_that_do_not_vary_are_told_apart_by_the_nearest_mean() -> None:
    X = np.array([[0, 0], [4, 0], [0, 4]], np.float32)
    coef, intercept = solve(X, np.arange(3), np.eye(3), True, None, (0.1,))
    near = np.array([[0.5, 0.1], [3, 1], [1, 3.5]]) @ coef[0].T + intercept[0]
    np.testing.assert_array_equal(near.argmax(axis=1), [0, 1, 2])


@pytest.mark.parametrize("value", [0.1, 3.7, -1e6])
def test_embeddings_that_never_vary_have_the_odds_of_the_priors(value: float) -> None:
    X, y = np.full((90, 4), value, np.float32), np.repeat([0, 0, 1], 30)
    for exclusive, truth in ((True, np.eye(2)[y]), (False, y[:, None].astype(float))):
        coef, intercept = solve(X, np.arange(90), truth, exclusive, None, SHRINKAGES)
        scores = np.einsum("nd,vkd->vnk", X, coef) + intercept[:, None]
        np.testing.assert_allclose(scores[..., -1], np.log(0.5), atol=1e-6)


def test_a_label_that_is_the_embedding_itself_is_told_apart() -> None:
    y = np.repeat([0.0, 1.0], [40, 20])
    X = np.outer(y, [0.3, -2.0, 0.7]).astype(np.float32) + np.float32(0.1)
    coef, intercept = solve(X, np.arange(60), y[:, None], False, None, SHRINKAGES)
    scores = X @ coef[:, 0].T + intercept[:, 0]
    assert np.isfinite(scores).all()
    assert scores[y == 0].max() < scores[y == 1].min()
