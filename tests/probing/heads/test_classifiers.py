"""The heads as scikit-learn estimators."""

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from embedkit.probing.heads.classifiers import Head, SVMHead, make_head
from embedkit.probing.heads.grids import GRIDS
from tests.probing.making import clustered

PROBABILISTIC = ["knn", "lda", "logistic"]


@pytest.fixture(params=sorted(GRIDS))
def head(request: pytest.FixtureRequest) -> Head:
    return make_head(request.param)


@pytest.fixture(params=sorted(set(GRIDS) - {"centroid"}))
def weighted(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def path_of(
    head: Head, X: np.ndarray, truth: np.ndarray, exclusive: bool, X_new: np.ndarray, values: Sequence[float]
) -> np.ndarray:
    return head.learn(X, truth, exclusive, values)(X_new, np.arange(len(X_new)))


def some_values(head: Head) -> tuple[float, ...]:
    return {"C": (0.01, 0.1, 1.0), "k": (1.0, 5.0, 500.0), "shrinkage": (0.01, 0.1, 1.0), "": (0.0,)}[head.parameter]


@parametrize_with_checks([make_head(classifier) for classifier in sorted(GRIDS)])
def test_scikit_learn_takes_them_for_its_own(estimator: Head, check: Any) -> None:
    check(estimator)


def test_labels_that_are_no_0_to_k_come_back_as_they_were(head: Head) -> None:
    X, y, _ = clustered(200, 8, 3, signal=3)
    names = np.array(["nv", "mel", "bcc"])[y]
    fitted = head.fit(X, names)
    assert fitted.classes_.tolist() == ["bcc", "mel", "nv"]
    assert (fitted.predict(X) == names).mean() > 0.8
    assert fitted.decision_function(X).shape == (200, 3)
    gaps = np.array([5, 17, -2])[y]
    assert (clone(head).fit(X, gaps).predict(X) == gaps).mean() > 0.8


def test_two_classes_have_one_margin(head: Head) -> None:
    X, y, _ = clustered(200, 8, 2)
    margin = head.fit(X, y).decision_function(X)
    assert margin.shape == (200,)
    assert roc_auc_score(y, margin) > 0.8
    np.testing.assert_array_equal(head.predict(X), (margin > 0).astype(int))
    truth = np.eye(2)[y]
    (mirrored,) = path_of(head, X[:150], truth[:150], True, X[150:], some_values(head)[:1])
    np.testing.assert_allclose(mirrored[:, 0], -mirrored[:, 1], rtol=1e-6)


def test_labels_that_may_hold_together_and_are_not_all_judged(head: Head) -> None:
    # Twice the same images, and a label judged on one half: the variance, and so the RBF kernel, is that of the half.
    X = np.tile(clustered(100, 8)[0], (2, 1))
    y = (X[:, :3] > 0).astype(float)
    y[:100, 1] = np.nan
    y[100:, 2] = np.nan
    fitted = head.fit(X, y)
    scores = fitted.decision_function(X)
    assert scores.shape == fitted.predict(X).shape == (200, 3)
    for k in range(3):
        judged = ~np.isnan(y[:, k])
        alone = clone(head).fit(X[judged], y[judged, k]).decision_function(X)
        np.testing.assert_allclose(scores[:, k], alone, atol=5e-3)
        assert roc_auc_score(y[judged, k], scores[judged, k]) > 0.9


def test_scores_of_several_classes_order_images_as_their_probabilities_do() -> None:
    from sklearn.linear_model import LogisticRegression

    X, y, _ = clustered(300, 8, 5)
    scores = make_head("logistic").set_params(C=1.0).fit(X[:200], y[:200]).decision_function(X[200:])
    exactly = LogisticRegression(tol=1e-8, max_iter=9999).fit(X[:200].astype(float), y[:200])
    reference = exactly.predict_proba(X[200:].astype(float))
    np.testing.assert_allclose(np.exp(scores), reference, atol=1e-4)


@pytest.mark.parametrize("classifier", PROBABILISTIC)
@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_logits_of_the_probabilities(classifier: str, classes: int) -> None:
    from scipy.special import expit, softmax

    X, y, _ = clustered(200, 8, classes)
    head = make_head(classifier).fit(X, y)
    assert head.probabilistic
    (scores,) = path_of(head, X, np.eye(classes)[y], True, X, [getattr(head, head.parameter)])
    expected = expit(scores) if classes == 2 else softmax(scores, axis=1)
    np.testing.assert_allclose(head.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_allclose(head.predict_proba(X).sum(axis=1), 1, atol=1e-6)
    labels = (X[:, :2] > 0).astype(int)
    fitted = clone(head).fit(X, labels)
    np.testing.assert_allclose(fitted.predict_proba(X), expit(fitted.decision_function(X)), atol=1e-6)


def test_heads_without_probabilities_say_so() -> None:
    for classifier in set(GRIDS) - set(PROBABILISTIC):
        assert not make_head(classifier).probabilistic
        assert not hasattr(make_head(classifier), "predict_proba")


def test_path_scores_are_those_of_single_fits_and_leave_the_head_alone(head: Head) -> None:
    X, y, _ = clustered(200, 8, 3)
    values = some_values(head)
    path = path_of(head, X[:150], np.eye(3)[y[:150]], True, X[150:], values)
    assert path.shape == (len(values), 50, 3)
    assert path.dtype == np.float64
    with pytest.raises(NotFittedError):
        head.predict(X)
    for value, scores in zip(values, path, strict=True):
        alone = clone(head).set_params(**({head.parameter: value} if head.parameter else {})).fit(X[:150], y[:150])
        np.testing.assert_allclose(scores, alone.decision_function(X[150:]), atol=2e-3)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("classifier", sorted(GRIDS))
def test_search_is_path_on_each_part(classifier: str, exclusive: bool, class_weight: str | None) -> None:
    X, y, _ = clustered(180, 8, 3)
    truth = np.eye(3)[np.where(y == 2, 0, y)]
    truth[:9] = [0, 0, 1]
    if not exclusive:
        truth[::4, 0] = np.nan
    head = make_head(classifier, class_weight)
    rng = np.random.default_rng(0)
    cuts = [rng.permutation(180) for _ in range(3)]
    parts = [(cut[:120], cut[120:170]) for cut in cuts]
    found = head.search(X, truth, exclusive, parts, some_values(head))
    for (fitted, judged), scores in zip(parts, found, strict=True):
        path = path_of(head, X[fitted], truth[fitted], exclusive, X[judged], some_values(head))
        np.testing.assert_allclose(scores, path, atol=2e-3)


def test_a_class_without_rows_is_never_said(head: Head) -> None:
    X, y, _ = clustered(120, 6, 3)
    truth = np.eye(5)[np.array([0, 1, 3])[y]]
    for scores in path_of(head, X, truth, True, X[:30], some_values(head)):
        assert (scores[:, [2, 4]] == -np.inf).all()
        assert np.isfinite(scores[:, [0, 1, 3]]).all()
        assert set(scores.argmax(axis=1)) <= {0, 1, 3}


@pytest.mark.parametrize("classifier", ["lda", "logistic"])
def test_two_of_several_classes_have_the_odds_of_two(classifier: str) -> None:
    X, y, _ = clustered(120, 6, 2)
    (two,) = path_of(make_head(classifier), X, np.eye(2)[y], True, X, [0.1])
    (five,) = path_of(make_head(classifier), X, np.eye(5)[y * 2 + 1], True, X, [0.1])
    np.testing.assert_allclose(five[:, 3] - five[:, 1], two[:, 1], atol=1e-3)
    np.testing.assert_allclose(np.exp(five).sum(axis=1), 1, atol=1e-5)


def test_labels_that_never_vary_get_one_finite_score(head: Head) -> None:
    X, _, _ = clustered(60, 5)
    truth = np.column_stack([np.ones(60), np.zeros(60), np.full(60, np.nan), X[:, 0] > 0])
    for scores in path_of(head, X, truth, False, X, some_values(head)):
        assert np.isfinite(scores).all()
        assert (np.ptp(scores[:, :3], axis=0) == 0).all()
        assert (scores[:, 0] > 0).all()
        assert (scores[:, 1] < 0).all()


def test_embeddings_that_never_vary_rank_nobody(head: Head) -> None:
    for X in (np.zeros((60, 4), np.float32), np.full((60, 4), 3.0, np.float32)):
        y = np.arange(60) % 3
        scores = head.fit(X, y).decision_function(X)
        assert np.isfinite(scores).all()
        assert all(roc_auc_score(y == k, scores[:, k]) == 0.5 for k in range(3))


@pytest.mark.filterwarnings("ignore:The number of unique classes is greater:UserWarning")
def test_a_hundred_classes_and_one_image_of_each(head: Head) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 20)).astype(np.float32)
    one_each = head.fit(X, np.arange(100) * 3)
    assert one_each.decision_function(X).shape == (100, 100)
    assert np.isfinite(one_each.decision_function(X)).all()
    twice = clone(head).fit(np.concatenate([X, X + 0.01 * rng.normal(size=X.shape)]), np.tile(np.arange(100), 2))
    assert (twice.predict(X) == np.arange(100)).mean() > 0.5


def test_copies_of_an_image_make_no_infinity(head: Head) -> None:
    X, y, _ = clustered(40, 6, 2)
    X, y = np.repeat(X, 5, axis=0), np.repeat(y, 5)
    y[:10] = [0, 1] * 5
    scores = head.fit(X, y).decision_function(X)
    assert np.isfinite(scores).all()
    for copies in scores.reshape(40, 5):
        np.testing.assert_allclose(copies, copies[0], atol=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_balanced_weights_are_those_given_by_hand(weighted: str, exclusive: bool) -> None:
    X, y, _ = clustered(200, 8, 2)
    X[100:], y[100:] = X[:100], y[:100]
    rare = (y == 1) & (np.arange(200) % 5 == 0)
    if exclusive:
        by_hand = {0: 100 / (~rare).sum(), 1: 100 / rare.sum()}
        given = rare.astype(int)
    else:
        given = np.column_stack([rare, X[:, 0] > 0]).astype(float)
        given[100:, 1] = np.nan
    balanced = make_head(weighted, "balanced").fit(X, given).decision_function(X)
    plain = make_head(weighted).fit(X, given).decision_function(X)
    assert not np.allclose(balanced, plain, atol=1e-2)
    if exclusive:
        same = make_head(weighted, by_hand).fit(X, given).decision_function(X)
        np.testing.assert_allclose(balanced, same, atol=1e-5)
        assert balanced.mean() > plain.mean()
    else:
        for k in range(2):
            judged = ~np.isnan(given[:, k])
            alone = make_head(weighted, "balanced").fit(X[judged], given[judged, k]).decision_function(X)
            np.testing.assert_allclose(balanced[:, k], alone, atol=5e-3)


def test_tools_of_scikit_learn_accept_them(head: Head) -> None:
    X, y, _ = clustered(150, 6, 2)
    assert cross_val_score(clone(head), X, y, cv=3, scoring="roc_auc").mean() > 0.7
    again = pickle.loads(pickle.dumps(head.fit(X, y)))
    np.testing.assert_array_equal(again.decision_function(X), head.decision_function(X))
    if head.parameter:
        values = [int(v) if head.parameter == "k" else v for v in some_values(head)]
        found = GridSearchCV(clone(head), {head.parameter: values}, cv=3, scoring="roc_auc").fit(X, y)
        assert found.best_score_ > 0.7


@pytest.mark.parametrize(
    ("classifier", "parameter", "value"),
    [("logistic", "C", 0), ("svm-rbf", "C", -1.0), ("knn", "k", 0), ("lda", "shrinkage", 0), ("lda", "shrinkage", 1.5)],
)
def test_a_parameter_out_of_its_limits_is_refused(classifier: str, parameter: str, value: float) -> None:
    X, y, _ = clustered(20, 4, 2)
    with pytest.raises(ValueError, match=rf"{parameter} = {value}: give \w+ one from"):
        make_head(classifier).set_params(**{parameter: value}).fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full((20, 2), 2.0), "each must hold 1, 0, or NaN"),
        (np.ones((19, 2)), "y has 19 rows and X 20"),
        (np.linspace(0, 1, 20), "Unknown label type: continuous"),
        (np.r_[np.nan, np.ones(19)], "Input y contains NaN"),
        (np.full((20, 2), np.inf), "Input y contains infinity"),
        (np.ones((20, 2, 2)), "Found array with dim 3"),
    ],
)
def test_a_target_that_is_none_is_refused(head: Head, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head.fit(clustered(20, 4)[0], y)


def test_fits_that_stop_early_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.exceptions import ConvergenceWarning

    for name in ("newton.STEPS", "descent._STEPS"):
        monkeypatch.setattr(f"embedkit.probing.solver.{name}", 1)
    X, y, _ = clustered(60, 4, 2)
    parts = [(np.arange(40), np.arange(40, 60))] * 2
    with pytest.warns(ConvergenceWarning, match="stopped before it converged") as seen:
        make_head("logistic").search(X, np.eye(2)[y], True, parts, (0.1, 1.0, 10.0))
    assert len(seen) == 6


def test_scores_are_in_double_precision_whatever_the_embeddings_are_in(head: Head) -> None:
    X, y, _ = clustered(60, 6, 3)
    whole = head.fit(X, y).decision_function(X)
    half = clone(head).fit(X.astype(np.float16), y).decision_function(X.astype(np.float16))
    double = clone(head).fit(X.astype(np.float64), y).decision_function(X.astype(np.float64))
    assert whole.dtype == half.dtype == double.dtype == np.float64
    np.testing.assert_allclose(whole, double, atol=5e-3)


def test_rbf_survives_embeddings_without_variance() -> None:
    X = np.ones((6, 3))
    margin = SVMHead("rbf").fit(X, [0, 1] * 3).decision_function(X)
    assert np.isfinite(margin).all()


@pytest.mark.parametrize("classifier", ["knn", "lda", "centroid"])
def test_search_copies_no_matrix(classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr("embedkit.probing.heads.neighbours._BLOCK", 2**16)
    X, y, _ = clustered(4000, 512, 2)
    truth, cuts = np.eye(2)[y], np.array_split(np.arange(4000), 4)
    parts = [(np.setdiff1d(np.arange(4000), cut), cut[:100]) for cut in cuts]
    head = make_head(classifier)
    head.search(X[:50], truth[:50], True, [(np.arange(40), np.arange(40, 50))], some_values(head))
    tracemalloc.start()
    head.search(X, truth, True, parts, some_values(head)[:2])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The blocks, a covariance in double precision: on two threads, and nothing as large as the embeddings.
    assert peak < {"knn": 0.8, "lda": 4.5, "centroid": 0.5}[classifier] * X.nbytes
