"""The machines are scikit-learn's own, one against the rest."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from embedkit.probing.heads.svm import linear_kernel, rbf_kernel, solve
from tests.probing.making import clustered


@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_margins_are_those_of_scikit_learn_one_against_the_rest(kind: str) -> None:
    X, y, _ = clustered(300, 10, 3)
    gamma = 1 / (10 * X[:200].var())
    kernel = linear_kernel if kind == "linear" else lambda A, B: rbf_kernel(A, B, gamma)
    grid = [0.01, 1.0, 30.0]
    dual, intercept = solve(kernel(X[:200], X[:200]), np.eye(3)[y[:200]], True, grid)
    new = kernel(X[200:], X[:200])
    for number, C in enumerate(grid):
        scores = new @ dual[number].T + intercept[number]
        for k in range(3):
            # The linear kernel is divided by the features, which is a C as many times smaller.
            reference = SVC(C=C / 10 if kind == "linear" else C, kernel=kind, gamma=gamma).fit(X[:200], y[:200] == k)
            expected = reference.decision_function(X[200:])
            np.testing.assert_allclose(scores[:, k], expected, atol=5e-3)
            truth = y[200:] == k
            assert roc_auc_score(truth, scores[:, k]) == pytest.approx(roc_auc_score(truth, expected), abs=1e-3)


def test_two_classes_are_one_machine_and_its_mirror() -> None:
    X, y, _ = clustered(120, 6, 2)
    dual, intercept = solve(linear_kernel(X, X), np.eye(2)[y], True, [0.1, 1.0])
    np.testing.assert_array_equal(dual[:, 0], -dual[:, 1])
    np.testing.assert_array_equal(intercept[:, 0], -intercept[:, 1])
    assert roc_auc_score(y, linear_kernel(X, X) @ dual[1, 1] + intercept[1, 1]) > 0.8


def test_beyond_the_hard_margin_nothing_changes_and_nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = clustered(40, 200, 2, signal=3.0)
    kernel, truth = linear_kernel(X, X), np.eye(2)[y]
    alone = solve(kernel, truth, True, [1e4])
    fits = []
    fit = SVC.fit
    monkeypatch.setattr(SVC, "fit", lambda self, *data: fits.append(self.C) or fit(self, *data))
    dual, intercept = solve(kernel, truth, True, [1e-3, 1e2, 1e3, 1e4])
    assert fits == [1e-3, 1e2]
    np.testing.assert_allclose(dual[3], alone[0][0], atol=1e-3)
    np.testing.assert_array_equal(dual[1], dual[3])
    np.testing.assert_array_equal(intercept[1], intercept[3])


def test_labels_are_fitted_on_the_images_judged_for_them() -> None:
    X, _, _ = clustered(150, 8)
    truth = (X[:, :2] > 0).astype(float)
    truth[::3, 0] = np.nan
    dual, intercept = solve(linear_kernel(X, X), truth, False, [1.0])
    assert (dual[0, 0, ::3] == 0).all()
    known = ~np.isnan(truth[:, 0])
    reference = SVC(C=1 / 8, kernel="linear").fit(X[known], truth[known, 0]).decision_function(X)
    np.testing.assert_allclose(linear_kernel(X, X) @ dual[0, 0] + intercept[0, 0], reference, atol=5e-3)


def test_constant_labels_and_absent_classes() -> None:
    X, y, _ = clustered(60, 4, 2)
    dual, intercept = solve(linear_kernel(X, X), np.column_stack([np.ones(60), np.zeros(60)]), False, [1.0])
    assert not dual.any()
    np.testing.assert_array_equal(intercept, [[1, -1]])
    _, absent = solve(linear_kernel(X, X), np.eye(4)[y], True, [1.0])
    assert (absent[0, 2:] == -np.inf).all()
    assert np.isfinite(absent[0, :2]).all()


def test_kernels() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(5, 7)), rng.normal(size=(4, 7))
    np.testing.assert_allclose(linear_kernel(A, B), [[a @ b / 7 for b in B] for a in A])
    np.testing.assert_allclose(rbf_kernel(A, B, 0.3), [[np.exp(-0.3 * ((a - b) ** 2).sum()) for b in B] for a in A])
    np.testing.assert_allclose(np.diag(rbf_kernel(A.astype(np.float32), A.astype(np.float32), 0.3)), 1, atol=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_weights_multiply_c(exclusive: bool) -> None:
    X, y, _ = clustered(200, 8, 3)
    truth = np.eye(3)[y]
    weights = np.random.default_rng(0).uniform(0.1, 3, size=200 if exclusive else (200, 3))
    kernel = rbf_kernel(X, X, 0.05)
    dual, intercept = solve(kernel, truth, exclusive, [0.1, 1.0], weights)
    for number, C in enumerate((0.1, 1.0)):
        for k in range(3):
            own = weights if exclusive else weights[:, k].copy()
            reference = SVC(C=C, gamma=0.05).fit(X, y == k, own).decision_function(X)
            np.testing.assert_allclose(kernel @ dual[number, k] + intercept[number, k], reference, atol=5e-3)


def test_an_image_of_little_weight_is_still_held_back_by_its_own_c() -> None:
    X, y, _ = clustered(40, 200, 2, signal=3.0)
    weights = np.where(np.arange(40) < 5, 1e-4, 1.0)
    kernel, truth = linear_kernel(X, X), np.eye(2)[y]
    path = solve(kernel, truth, True, [1e2, 1e4], weights)[0]
    alone = solve(kernel, truth, True, [1e4], weights)[0]
    np.testing.assert_array_equal(path[1], alone[0])
    assert not np.allclose(path[0], path[1], atol=1e-3)
