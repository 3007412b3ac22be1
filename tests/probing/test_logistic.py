"""The logistic head's solutions are scikit-learn's at tight tolerance in double precision."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from embedkit.probing import logistic
from embedkit.probing.logistic import solve
from tests.probing.making import clustered


def truth_of(y: np.ndarray) -> np.ndarray:
    return np.eye(y.max() + 1)[y]


def exactly(X: np.ndarray, y: np.ndarray, C: float) -> LogisticRegression:
    return LogisticRegression(C=C, tol=1e-10, max_iter=20_000).fit(X.astype(np.float64), y)


def columns_of(margin: np.ndarray) -> np.ndarray:
    return np.column_stack([-margin / 2, margin / 2]) if margin.ndim == 1 else margin


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)))


def standard(X: np.ndarray) -> np.ndarray:
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (60, 200)], ids=["n>d", "n<d"])
@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_and_auc_are_those_of_the_converged_fit(n: int, d: int, classes: int) -> None:
    X, y, _ = clustered(n + 1500, d, classes, seed=5)
    X = standard(X)
    grid = [1e-6, 1e-3, 1e-1, 10.0]
    coef, intercept = solve(X[:n], truth_of(y[:n]), True, grid)
    for number, C in enumerate(grid):
        expected = columns_of(exactly(X[:n], y[:n], C).decision_function(X[n:].astype(np.float64)))
        ours = X[n:] @ coef[number].T + intercept[number]
        for k in range(classes):
            positive = y[n:] == k
            assert roc_auc_score(positive, ours[:, k]) == pytest.approx(
                roc_auc_score(positive, expected[:, k]), abs=1e-4
            )
        # Two classes hold a difference as -s and s, so a softmax over them sees it twice.
        halved = ours / 2 if classes == 2 else ours
        np.testing.assert_allclose(softmax(halved), softmax(expected), atol=1e-3)


def test_objective_is_minimal() -> None:
    X, y, _ = clustered(200, 15, 3)
    X = standard(X)
    coef, intercept = solve(X, truth_of(y), True, [0.01, 1.0])

    def objective(w: np.ndarray, b: np.ndarray, C: float) -> float:
        s = X.astype(float) @ w.T + b
        return float(C * (np.logaddexp.reduce(s, axis=1) - s[np.arange(len(y)), y]).sum() + (w**2).sum() / 2)

    for number, C in enumerate([0.01, 1.0]):
        best = exactly(X, y, C)
        ours = objective(coef[number], intercept[number], C)
        assert ours == pytest.approx(objective(best.coef_, best.intercept_, C), rel=1e-5)


def test_fewer_images_than_features_is_solved_in_their_span(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = clustered(40, 100, 3)
    X = standard(X)
    seen = []
    path = logistic._path
    monkeypatch.setattr(logistic, "_path", lambda X, y, Cs: seen.append(X.shape) or path(X, y, Cs))
    coef, _ = solve(X, truth_of(y), True, [0.1])
    assert seen[0][0] == 40
    assert seen[0][1] < 40  # centred rows span one dimension less
    assert coef.shape == (1, 3, 100)


def test_repeated_rows_do_not_upset_the_span() -> None:
    X, y, _ = clustered(20, 60, 2)
    X, y = np.vstack([X, X, X[:1] * 0]), np.concatenate([y, y, y[:1]])
    coef, intercept = solve(X, truth_of(y), True, [1.0])
    reference = exactly(X, y, 1.0)

    np.testing.assert_allclose(X @ coef[0, 1] + intercept[0, 1], reference.decision_function(X), atol=5e-3)


def test_each_label_is_fitted_on_the_images_judged_for_it() -> None:
    X, _, _ = clustered(300, 10)
    rng = np.random.default_rng(0)
    truth = (X[:, :3] + rng.normal(size=(300, 3)) > 0.5).astype(float)
    truth[rng.random((300, 3)) < 0.3] = np.nan
    coef, intercept = solve(X, truth, False, [0.1, 1.0])
    assert coef.shape == (2, 3, 10)
    for k in range(3):
        known = ~np.isnan(truth[:, k])
        reference = exactly(X[known], truth[known, k], 1.0)
        np.testing.assert_allclose(coef[1, k], reference.coef_[0], atol=2e-3)
        assert intercept[1, k] == pytest.approx(reference.intercept_[0], abs=2e-3)


def test_a_label_that_all_or_none_hold_is_constant() -> None:
    X, y, _ = clustered(50, 4, 2)
    truth = np.column_stack([np.ones(50), np.zeros(50), y])
    coef, intercept = solve(X, truth, False, [0.1, 1.0])
    np.testing.assert_array_equal(coef[:, :2], 0)
    np.testing.assert_array_equal(intercept[:, :2], [[1, -1], [1, -1]])
    assert (coef[:, 2] != 0).any()


@pytest.mark.parametrize("present", [[0, 2], [1], [0, 1, 3]])
def test_a_class_that_no_row_has_is_never_predicted(present: list[int]) -> None:
    X, _, _ = clustered(60, 5)
    codes = np.resize(present, 60)
    coef, intercept = solve(X, np.eye(4)[codes], True, [1.0])
    scores = X @ coef[0].T + intercept[0]
    absent = sorted({0, 1, 2, 3} - set(present))
    assert (scores[:, absent] == -np.inf).all()
    assert set(scores.argmax(axis=1)) <= set(present)
    assert np.isfinite(scores[:, present]).all()
