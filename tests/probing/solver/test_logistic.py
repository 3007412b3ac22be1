"""The logistic head's solutions are those of converged fits in double precision, for all folds and C at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from embedkit.probing.heads.classifiers import SEARCH_ACCURACY
from embedkit.probing.solver import logistic, newton, rotation
from embedkit.probing.solver.logistic import solve, solve_folds
from embedkit.probing.solver.rotation import Ready
from tests.probing.making import clustered

GRID = [1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e5]


def truth_of(y: np.ndarray, classes: int | None = None) -> np.ndarray:
    return np.eye(classes or y.max() + 1)[y]


def exactly(X: np.ndarray, y: np.ndarray, C: float, weights: np.ndarray | None = None) -> LogisticRegression:
    """Return a fit by Newton's method with exact Hessians, in the span of the rows where these are few."""
    return LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10 / max(C, 1), max_iter=500).fit(
        X.astype(np.float64), y, sample_weight=weights
    )


def in_span(X: np.ndarray, n: int) -> np.ndarray:
    """Return X in the span of its first n rows less their mean: what is outside has no coefficient."""
    mean = X[:n].mean(axis=0, dtype=np.float64)
    basis = np.linalg.svd(X[:n] - mean, full_matrices=False)[2][: n - 1]
    return np.asarray((X - mean) @ basis.T)


def columns_of(margin: np.ndarray) -> np.ndarray:
    return np.column_stack([-margin / 2, margin / 2]) if margin.ndim == 1 else margin


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)))


def probabilities(scores: np.ndarray) -> np.ndarray:
    # Two classes hold a difference as -s and s, so a softmax over them sees it twice.
    return softmax(scores / 2 if scores.shape[-1] == 2 else scores)


def objective(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray, C: float) -> float:
    if len(w) == 2:
        w, b = np.stack([np.zeros_like(w[1]), w[1]]), np.array([0.0, b[1]])
    s = X.astype(float) @ w.T + b
    return float(C * (np.logaddexp.reduce(s, axis=1) - s[np.arange(len(y)), y]).sum() + (w**2).sum() / 2)


def standard(X: np.ndarray) -> np.ndarray:
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def embeddings(kind: str, n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated features of a decaying spectrum, standardised, of unit norm, or of all scales and means."""
    X, y, _ = clustered(n, d, classes, seed=5)
    y[:classes] = np.arange(classes)
    rng = np.random.default_rng(1)
    X = X @ (np.linalg.qr(rng.normal(size=(d, d)))[0] * np.arange(1, d + 1) ** -0.5)
    if kind == "unit":
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    if kind == "raw":
        X = X * np.exp(rng.normal(size=d)) + 30 * rng.normal(size=d)
    return standard(X) if kind == "standard" else X.astype(np.float32), y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the reference's, at its rounding
@pytest.mark.parametrize(("n", "d"), [(300, 30), (50, 120)], ids=["n>d", "n<d"])
@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("kind", ["standard", "unit", "raw"])
def test_solutions_are_those_of_the_converged_fit(kind: str, classes: int, n: int, d: int) -> None:
    X, y = embeddings(kind, n + 400, d, classes)
    found = solve(X[:n], truth_of(y[:n], classes), True, GRID)
    assert found.converged.all()
    assert (found.gap < 1e-7).all()
    plain = X.astype(np.float64) if n > d else in_span(X, n)
    for number, C in enumerate(GRID):
        reference = exactly(plain[:n], y[:n], C)
        expected = columns_of(reference.decision_function(plain))
        ours = X.astype(np.float64) @ found.coef[number].T + found.intercept[number]
        np.testing.assert_allclose(probabilities(ours), softmax(expected), atol=1e-4)
        best, least = reference.coef_, reference.intercept_
        if classes == 2:
            best, least = np.vstack([-best, best]), np.append(-least, least)
        value = objective(X[:n], y[:n], found.coef[number], found.intercept[number], C)
        assert value <= objective(plain[:n], y[:n], best, least, C) * (1 + 1e-8)
        for k in range(classes):
            held = y[n:] == k
            aucs = [roc_auc_score(held, probabilities(s)[n:, k]) for s in (ours, expected * (1 + (classes == 2)))]
            assert aucs[0] == pytest.approx(aucs[1], abs=1e-4)


def test_twenty_classes() -> None:
    X, y = embeddings("standard", 400, 24, 20)
    found = solve(X, truth_of(y), True, [1e-3, 10.0])
    for number, C in enumerate([1e-3, 10.0]):
        expected = exactly(X, y, C).predict_proba(X.astype(float))
        np.testing.assert_allclose(
            probabilities(X @ found.coef[number].T + found.intercept[number]), expected, atol=1e-4
        )


@pytest.mark.parametrize("C", [1e-5, 1.0, 1e5])
def test_one_value_of_c_is_as_on_the_path(C: float) -> None:
    X, y = embeddings("standard", 200, 60, 4)
    alone = solve(X, truth_of(y), True, [C])
    path = solve(X, truth_of(y), True, np.logspace(-6, 5, 45).tolist() if C != 1 else [1e-2, C, 10])
    at = {1e-5: 4, 1.0: 1, 1e5: 44}[C]
    assert alone.converged.all()
    assert path.converged.all()
    np.testing.assert_allclose(
        softmax(X @ alone.coef[0].T + alone.intercept[0]), softmax(X @ path.coef[at].T + path.intercept[at]), atol=1e-4
    )


@pytest.mark.parametrize("Cs", [np.logspace(-6, 5, 45).tolist(), [1e5]], ids=["path", "alone"])
def test_labels_that_hardly_depend_on_the_embedding_converge_at_every_c(Cs: list[float]) -> None:
    # Not separable but nearly: coefficients are huge and few images of each fold are uncertain, not the same ones.
    rng = np.random.default_rng(0)
    X, _ = embeddings("standard", 400, 90, 2)
    y = rng.integers(0, 2, 400)
    weights = np.stack([np.arange(400) % 4 != number for number in range(4)]).astype(float)
    found = solve_folds(X, truth_of(y), True, Cs, weights)
    assert found.converged.all()
    rows = weights[0] > 0
    expected = exactly(X[rows], y[rows], 1e5).predict_proba(X[rows].astype(float))
    ours = X[rows].astype(float) @ found.coef[0, -1].T + found.intercept[0, -1]
    np.testing.assert_allclose(probabilities(ours), expected, atol=1e-4)


def test_the_order_of_the_grid_is_kept() -> None:
    X, y, _ = clustered(100, 6, 3)
    up, down = (solve(X, truth_of(y), True, Cs) for Cs in ([0.01, 1.0, 1.0], [1.0, 1.0, 0.01]))
    np.testing.assert_array_equal(up.coef, down.coef[::-1])
    np.testing.assert_array_equal(up.intercept, down.intercept[::-1])


@pytest.mark.parametrize("classes", [2, 4])
def test_each_fold_is_a_fit_on_its_rows(classes: int) -> None:
    X, y = embeddings("standard", 240, 20, classes)
    fold = np.random.default_rng(0).integers(0, 3, len(y))
    weights = np.stack([fold != number for number in range(3)]).astype(float)
    found = solve_folds(X, truth_of(y), True, [1e-3, 1.0, 1e4], weights)
    assert found.coef.shape == (3, 3, classes, 20)
    assert found.gap.shape == found.converged.shape == found.iterations.shape == (3, 3, 1)
    assert found.converged.all()
    for number in range(3):
        rows = fold != number
        for c, C in enumerate([1e-3, 1.0, 1e4]):
            expected = softmax(columns_of(exactly(X[rows], y[rows], C).decision_function(X.astype(float))))
            ours = X @ found.coef[number, c].T + found.intercept[number, c]
            np.testing.assert_allclose(probabilities(ours), expected, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 5])
def test_weights_multiply_the_loss_of_a_row(classes: int) -> None:
    X, y = embeddings("standard", 200, 15, classes)
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    found = solve(X, truth_of(y), True, [0.01, 10.0], weights)
    for number, C in enumerate([0.01, 10.0]):
        expected = exactly(X, y, C, weights).predict_proba(X.astype(float))
        np.testing.assert_allclose(
            probabilities(X @ found.coef[number].T + found.intercept[number]), expected, atol=1e-4
        )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from([1e-4, 1e-1, 1e2]))
def test_a_row_of_weight_two_is_a_row_that_occurs_twice(seed: int, classes: int, C: float) -> None:
    X, y, _ = clustered(40, 5, classes, seed=seed)
    y[:classes] = np.arange(classes)
    twice = np.random.default_rng(seed).integers(1, 3, len(y))
    weighted = solve(X, truth_of(y), True, [C], twice.astype(float))
    repeated = solve(np.repeat(X, twice, axis=0), truth_of(np.repeat(y, twice)), True, [C])
    ours, theirs = (softmax(X @ found.coef[0].T + found.intercept[0]) for found in (weighted, repeated))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_features_of_large_mean_move_only_the_intercept() -> None:
    X, y = embeddings("standard", 200, 12, 3)
    # A power of two far above the values keeps most of their bits.
    shifted = X + np.float32(64)
    plain, moved = (solve(Z, truth_of(y), True, [0.01, 1.0]) for Z in (shifted - np.float32(64), shifted))
    np.testing.assert_allclose(moved.coef, plain.coef, atol=1e-4)
    np.testing.assert_allclose(moved.intercept, plain.intercept - 64 * plain.coef.sum(axis=2), atol=5e-3)


def test_constant_and_repeated_features() -> None:
    X, y = embeddings("standard", 150, 8, 3)
    X = np.hstack([X, X[:, :4], np.full((150, 1), 3, np.float32)])
    found = solve(X, truth_of(y), True, [1.0])
    expected = exactly(X, y, 1.0).predict_proba(X.astype(float))
    np.testing.assert_allclose(softmax(X @ found.coef[0].T + found.intercept[0]), expected, atol=1e-4)
    np.testing.assert_allclose(found.coef[0, :, :4], found.coef[0, :, 8:12], atol=1e-4)
    np.testing.assert_allclose(found.coef[0, :, 12], 0, atol=1e-6)


def test_repeated_rows_do_not_upset_the_span() -> None:
    X, y, _ = clustered(20, 60, 2)
    X, y = np.vstack([X, X, X[:1] * 0]), np.concatenate([y, y, y[:1]])
    found = solve(X, truth_of(y), True, [1.0])
    reference = LogisticRegression(tol=1e-10, max_iter=20_000).fit(X.astype(float), y)
    np.testing.assert_allclose(
        X @ found.coef[0, 1] + found.intercept[0, 1], reference.decision_function(X.astype(float)), atol=5e-4
    )


def test_rows_that_are_all_alike() -> None:
    found = solve(np.ones((30, 4), np.float32), truth_of(np.arange(30) % 3 // 2), True, [1.0])
    np.testing.assert_allclose(found.coef, 0, atol=1e-6)
    assert found.intercept[0, 1] == pytest.approx(np.log(10 / 20), abs=1e-4)


def test_each_label_is_fitted_on_the_images_judged_for_it() -> None:
    X, _, _ = clustered(300, 10)
    rng = np.random.default_rng(0)
    truth = (X[:, :3] + rng.normal(size=(300, 3)) > 0.5).astype(float)
    truth[rng.random((300, 3)) < 0.3] = np.nan
    weights = rng.uniform(0.5, 2, size=(2, 300, 3))
    weights[0, :100] = 0
    found = solve_folds(X, truth, False, [0.1, 1.0, 1e3], weights)
    assert found.coef.shape == (2, 3, 3, 10)
    assert found.converged.shape == (2, 3, 3)
    assert found.converged.all()
    for fold, k in np.ndindex(2, 3):
        known = ~np.isnan(truth[:, k]) & (weights[fold, :, k] > 0)
        for c, C in enumerate([0.1, 1.0, 1e3]):
            reference = exactly(X[known], truth[known, k], C, weights[fold, known, k])
            np.testing.assert_allclose(found.coef[fold, c, k], reference.coef_[0], atol=5e-4)
            assert found.intercept[fold, c, k] == pytest.approx(reference.intercept_[0], abs=5e-4)


def test_one_weight_for_all_labels_of_a_row() -> None:
    X, y, _ = clustered(80, 5, 3)
    weights = np.random.default_rng(0).uniform(size=80)
    one = solve(X, truth_of(y), False, [1.0], weights)
    each = solve(X, truth_of(y), False, [1.0], np.repeat(weights[:, None], 3, axis=1))
    np.testing.assert_array_equal(one.coef, each.coef)


def test_a_label_that_all_or_none_hold_is_constant() -> None:
    X, y, _ = clustered(50, 4, 2)
    truth = np.column_stack([np.ones(50), np.zeros(50), y])
    found = solve(X, truth, False, [0.1, 1.0])
    np.testing.assert_array_equal(found.coef[:, :2], 0)
    np.testing.assert_array_equal(found.intercept[:, :2], [[1, -1], [1, -1]])
    assert (found.coef[:, 2] != 0).any()
    np.testing.assert_array_equal(solve(X, truth[:, :2], False, [1.0]).intercept, [[1, -1]])


@pytest.mark.parametrize("present", [[0, 2], [1], [0, 1, 3]])
def test_a_class_that_no_row_has_is_never_predicted(present: list[int]) -> None:
    X, _, _ = clustered(60, 5)
    codes = np.resize(present, 60)
    found = solve(X, np.eye(4)[codes], True, [1.0])
    scores = X @ found.coef[0].T + found.intercept[0]
    absent = sorted({0, 1, 2, 3} - set(present))
    assert (scores[:, absent] == -np.inf).all()
    assert set(scores.argmax(axis=1)) <= set(present)
    assert np.isfinite(scores[:, present]).all()


def test_folds_may_lack_different_classes() -> None:
    X, y = embeddings("standard", 160, 6, 4)
    weights = np.stack([np.ones(160), y != 3, y < 2, y == 1]).astype(float)
    found = solve_folds(X, truth_of(y), True, [1.0], weights)
    for fold, present in enumerate([[0, 1, 2, 3], [0, 1, 2], [0, 1], [1]]):
        rows = weights[fold] > 0
        alone = solve(X[rows], truth_of(y[rows], 4), True, [1.0])
        np.testing.assert_array_equal(np.isfinite(found.intercept[fold, 0]), np.isin(range(4), present))
        np.testing.assert_allclose(found.coef[fold, 0], alone.coef[0], atol=1e-4)


def test_the_result_does_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = embeddings("standard", 1500, 40, 3)
    fold = np.arange(1500) % 3
    weights = np.stack([fold != number for number in range(3)]).astype(float)
    several, again = (solve_folds(X, truth_of(y), True, [1e-2, 1e2], weights) for _ in range(2))
    monkeypatch.setattr("embedkit.machine.cores", lambda: 1)
    one = solve_folds(X, truth_of(y), True, [1e-2, 1e2], weights)
    for other in (again, one):
        np.testing.assert_array_equal(other.coef, several.coef)
        np.testing.assert_array_equal(other.intercept, several.intercept)


def test_a_fit_that_was_stopped_has_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = embeddings("standard", 200, 30, 3)
    whole = solve(X, truth_of(y), True, [1e-3, 1e3])
    monkeypatch.setattr(newton, "STEPS", 1)
    found = solve(X, truth_of(y), True, [1e-3, 1e3])
    assert whole.converged.all()
    assert not found.converged.any()
    assert (found.gap > 1e3 * whole.gap).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the reference's, at its rounding
@pytest.mark.parametrize("C", [10.0, 1e3, 1e5])
def test_a_rare_class_that_others_overlap(C: float) -> None:
    # Nearly flat directions: single precision finds the objective to seven digits and a probability wrong by .7.
    X, y = embeddings("standard", 2400, 40, 5)
    y[y == 4] = np.where(np.random.default_rng(3).random((y == 4).sum()) < 0.04, 4, 3)
    y = np.where(np.random.default_rng(4).random(len(y)) < 0.05, np.roll(y, 1), y)
    kept = np.arange(len(y)) % 5 != 0
    found = solve(X[kept], truth_of(y[kept]), True, [C])
    assert found.converged.all()
    expected = exactly(X[kept], y[kept], C).predict_proba(X.astype(float))
    np.testing.assert_allclose(softmax(X.astype(float) @ found.coef[0].T + found.intercept[0]), expected, atol=1e-4)


def test_what_is_found_for_the_search_is_close_enough_for_its_auc() -> None:
    X, y = embeddings("standard", 900, 60, 3)
    fold = np.arange(900) % 3
    weights = np.stack([fold != number for number in range(3)]).astype(float)
    Cs = np.logspace(-6, 5, 23).tolist()
    rough, exact = (solve_folds(X, truth_of(y), True, Cs, weights, accuracy) for accuracy in (SEARCH_ACCURACY, 1e-6))
    for number, c in np.ndindex(3, len(Cs)):
        out, scores = fold == number, []
        for found in (rough, exact):
            scores.append(softmax(X[out].astype(float) @ found.coef[number, c].T + found.intercept[number, c]))
        np.testing.assert_allclose(*scores, atol=1e-3)
        for k in range(3):
            first, second = (roc_auc_score(y[out] == k, score[:, k]) for score in scores)
            assert first == pytest.approx(second, abs=1e-4)


@pytest.mark.parametrize("accuracy", [1e-3, 1e-4, 5e-6])
def test_what_no_score_shows_does_not_grow_along_the_path(accuracy: float) -> None:
    # Overlapping classes, whose solution hardly changes where C is large: the path follows its curve far.
    X, y, _ = clustered()
    X, grid = standard(X).astype(np.float32), np.logspace(-6, 5, 45)
    found = solve_folds(X, truth_of(y), True, grid, np.ones((1, len(X))), accuracy)
    assert found.converged.all()
    scale = np.abs(found.coef).max(axis=(2, 3))
    assert (np.abs(found.coef.sum(axis=2)).max(axis=2) < 1e-5 * scale).all()
    for c in range(28, 45, 2):
        expected = exactly(X, y, grid[c]).predict_proba(X.astype(float))
        np.testing.assert_allclose(softmax(X @ found.coef[0, c].T + found.intercept[0, c]), expected, atol=5e-6)


def test_embeddings_are_left_as_they_are() -> None:
    X, y, _ = clustered(60, 5, 3)
    before = X.copy()
    solve(X, truth_of(y), True, [1.0])
    np.testing.assert_array_equal(X, before)


def test_folds_in_which_a_rare_class_can_be_told_apart_take_no_longer_than_the_others() -> None:
    rng = np.random.default_rng(0)
    n, d, K = 1200, 60, 5
    X = (rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5).astype(np.float32)
    X /= X.std(axis=0)
    margin = 1.2 * (X @ rng.normal(size=(d, K)) + [4, 0, 0, -2, -9]) + 1.5 * rng.gumbel(size=(n, K))
    truth = np.eye(K)[margin.argmax(axis=1)]
    kept = rng.permutation(n) % 5 != np.arange(5)[:, None]
    found = solve_folds(X, truth, True, np.logspace(-2, 5, 29), kept.astype(float))
    assert truth.sum(axis=0).min() < 90
    assert found.converged.all()
    # With one preconditioner for all folds a thousand.
    assert found.iterations.max() < 250


@pytest.mark.parametrize("kind", ["standard", "unit"])
def test_a_search_in_single_precision_ends_where_double_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = embeddings(kind, 400, 160, 4)
    Cs, weights = np.logspace(-6, 5, 12).tolist(), np.ones((1, 400))
    single = solve_folds(X, truth_of(y), True, Cs, weights, SEARCH_ACCURACY)
    monkeypatch.setattr(logistic, "_SINGLE", 1.0)
    double = solve_folds(X, truth_of(y), True, Cs, weights, SEARCH_ACCURACY)
    assert single.converged.all()
    assert not np.array_equal(single.coef, double.coef)
    exact = solve(X, truth_of(y), True, Cs)
    for found in (single, double):
        for c in range(12):
            scores = [
                X.astype(float) @ w.T + b
                for w, b in ((found.coef[0, c], found.intercept[0, c]), (exact.coef[c], exact.intercept[c]))
            ]
            np.testing.assert_allclose(softmax(scores[0]), softmax(scores[1]), atol=2 * SEARCH_ACCURACY)


def test_means_far_above_their_spread_are_searched_in_double_precision() -> None:
    X, y = embeddings("standard", 300, 120, 3)
    far = (X.astype(float) + 2.0**14).astype(np.float32)
    near = far.astype(float) - 2.0**14
    Cs, weights = [1e-3, 1.0, 1e3], np.ones((1, 300))
    found = solve_folds(far, truth_of(y), True, Cs, weights, SEARCH_ACCURACY)
    exact = solve(near.astype(np.float32), truth_of(y), True, Cs)
    for c in range(3):
        scores = far.astype(float) @ found.coef[0, c].T + found.intercept[0, c]
        expected = near @ exact.coef[c].T + exact.intercept[c]
        np.testing.assert_allclose(softmax(scores), softmax(expected), atol=2 * SEARCH_ACCURACY)


def test_what_is_ready_is_rotated_once_and_solved_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[int] = []
    axes = rotation.principal_axes
    monkeypatch.setattr(rotation, "principal_axes", lambda X, *how: turned.append(len(X)) or axes(X, *how))
    X, y = embeddings("standard", 90, 30, 3)
    ready, weights = Ready(X), np.ones((1, 90))
    path = solve_folds(ready, truth_of(y), True, GRID, weights, SEARCH_ACCURACY)
    one = solve(ready, truth_of(y), True, [1e-2])
    assert turned == [90]
    np.testing.assert_array_equal(path.coef, solve_folds(X, truth_of(y), True, GRID, weights, SEARCH_ACCURACY).coef)
    np.testing.assert_array_equal(one.coef, solve(X, truth_of(y), True, [1e-2]).coef)


def test_many_rows_of_overlapping_classes_are_searched_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 40)).astype(np.float32)
    truth = np.eye(3)[(X @ rng.normal(size=(40, 3)) * 0.1 + rng.gumbel(size=(1500, 3))).argmax(axis=1)]
    Cs, weights = np.logspace(-6, 5, 23), np.ones((1, 1500))
    searched, exact = (solve_folds(X, truth, True, Cs, weights, accuracy) for accuracy in (SEARCH_ACCURACY, 5e-6))
    assert searched.converged.all()
    assert searched.iterations.sum() <= exact.iterations.sum()


def left(X: np.ndarray, truth: np.ndarray, coef: np.ndarray, intercept: np.ndarray, C: float) -> tuple[float, float]:
    """Return what a step of Newton's method by its definition still wins, as a part, and moves a probability."""
    K, Z = truth.shape[1], np.column_stack([X, np.ones(len(X))]).astype(float)
    W, penalised = np.column_stack([coef, intercept]), np.append(np.ones(X.shape[1]), 0)
    p = softmax(Z @ W.T)
    slope = C * (p - truth).T @ Z + W * penalised
    second = np.empty((K, len(penalised), K, len(penalised)))
    for k in range(K):
        for other in range(K):
            second[k, :, other] = (Z * (C * p[:, k] * ((k == other) - p[:, other]))[:, None]).T @ Z
        second[k, :, k] += np.diag(penalised)
    # What all classes have in common changes nothing.
    free = np.kron(np.linalg.qr(np.eye(K) - 1 / K)[0][:, : K - 1], np.eye(len(penalised)))
    step = free @ np.linalg.solve(free.T @ second.reshape(len(free), -1) @ free, free.T @ slope.ravel())
    value = -C * np.log(p[truth == 1]).sum() + (coef**2).sum() / 2
    return float(slope.ravel() @ step / 2 / value), float(np.abs(softmax(Z @ (W - step.reshape(W.shape)).T) - p).max())


@pytest.mark.parametrize(
    ("accuracy", "wins", "moves"), [(SEARCH_ACCURACY, 2e-8, 2e-3), (logistic.ACCURACY, 2e-9, 1e-4)]
)
def test_where_a_rare_class_can_be_told_apart_nothing_passes_for_converged(
    accuracy: float, wins: float, moves: float
) -> None:
    rng = np.random.default_rng(0)
    n, d, K = 900, 24, 4
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    X = standard((rng.standard_t(4, size=(n, d)) / np.arange(1, d + 1)) @ axes).astype(np.float32)
    often = np.array([5, 3, 0, -4])
    y = (X @ rng.normal(size=(d, K)) + often + 1.5 * rng.gumbel(size=(n, K))).argmax(axis=1)
    assert np.bincount(y)[3] < 40
    Cs = np.logspace(-6, 5, 45)
    found = solve_folds(X, truth_of(y), True, Cs, np.ones((1, n)), accuracy)
    assert found.converged.all()
    rest = [left(X, truth_of(y), found.coef[0, c], found.intercept[0, c], C) for c, C in enumerate(Cs)]
    assert max(gain for gain, _ in rest) < wins
    assert max(moved for _, moved in rest) < moves


@pytest.mark.parametrize("seed", range(8))
def test_nothing_passes_for_converged_whatever_the_embeddings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, d, K = (int(number) for number in (rng.integers(60, 500), rng.integers(2, 50), rng.integers(3, 6)))
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.arange(1, d + 1)[:, None] ** -rng.choice([0, 0.5, 1.5])
    X = standard(rng.standard_t(3, size=(n, d)) @ axes) * np.float32(rng.choice([0.1, 1, 10]))
    margin = rng.choice([0, 1, 10]) * (X @ rng.normal(size=(d, K))) / np.abs(X).max() + rng.normal(size=K)
    y = (margin + rng.gumbel(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    Cs = np.logspace(-6, 5, 45)
    for accuracy, wins, moves in ((SEARCH_ACCURACY, 1e-5, 1e-3), (logistic.ACCURACY, 1e-8, 1e-4)):
        found = solve_folds(X, truth_of(y), True, Cs, np.ones((1, n)), accuracy)
        assert found.converged.all()
        for c in range(0, 45, 4):
            gain, moved = left(X, truth_of(y), found.coef[0, c], found.intercept[0, c], Cs[c])
            assert gain < wins
            assert moved < moves


@pytest.mark.parametrize("seed", [40, 48, 69])
def test_where_classes_can_be_told_apart_the_penalty_is_at_its_least_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, d, C = int(rng.integers(250, 400)), int(rng.integers(130, 200)), 1e5
    X = (rng.normal(size=(n, d)) * np.exp(rng.normal(size=(n, 1)) * 1.5)).astype(np.float32)
    noise = 0.7 * rng.logistic(size=n)
    y = (X.astype(float) @ rng.normal(size=d) / X.std() / np.sqrt(d) + noise > 0).astype(int)
    found, expected = solve(X, truth_of(y), True, [C]), exactly(X, y, C)
    assert found.converged.all()
    w, b = (
        np.concatenate([-expected.coef_, expected.coef_]),
        np.concatenate([-expected.intercept_, expected.intercept_]),
    )
    assert objective(X, y, found.coef[0], found.intercept[0], C) <= objective(X, y, w, b, C) * (1 + 1e-6)
