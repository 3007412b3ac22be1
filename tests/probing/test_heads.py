"""The heads as scikit-learn estimators."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

from embedkit.errors import EmbedkitError
from embedkit.probing import GRIDS, probe
from embedkit.probing.heads import Head, SVMHead, make_head
from tests.probing.making import a_set, clustered


@pytest.fixture(params=sorted(GRIDS))
def head(request: pytest.FixtureRequest) -> Head:
    return make_head(request.param)


def test_labels_that_are_no_0_to_k_come_back_as_they_were(head: Head) -> None:
    X, y, _ = clustered(200, 8, 3, signal=3)
    names = np.array(["nv", "mel", "bcc"])[y]
    fitted = head.fit(X, names)
    assert fitted.classes_.tolist() == ["bcc", "mel", "nv"]
    assert (fitted.predict(X) == names).mean() > 0.85
    assert fitted.decision_function(X).shape == (200, 3)
    assert set(clone(head).fit(X, y * 10 + 5).predict(X)) <= {5, 15, 25}


def test_two_classes_have_one_margin(head: Head) -> None:
    X, y, _ = clustered(200, 8, 2)
    margin = head.fit(X, y).decision_function(X)
    assert margin.shape == (200,)
    assert roc_auc_score(y, margin) > 0.8
    np.testing.assert_array_equal(head.predict(X), (margin > 0).astype(int))


def test_labels_that_may_hold_together(head: Head) -> None:
    X, _, _ = clustered(200, 8)
    y = (X[:, :3] > 0).astype(float)
    y[::7, 1] = np.nan
    fitted = head.fit(X, y)
    assert fitted.decision_function(X).shape == fitted.predict(X).shape == (200, 3)
    assert roc_auc_score(y[:, 0], fitted.decision_function(X)[:, 0]) > 0.9


def test_scores_of_several_classes_order_images_as_their_probabilities_do() -> None:
    from sklearn.linear_model import LogisticRegression

    X, y, _ = clustered(300, 8, 5)
    scores = make_head("logistic").set_params(C=1.0).fit(X[:200], y[:200]).decision_function(X[200:])
    reference = LogisticRegression(tol=1e-8, max_iter=9999).fit(X[:200], y[:200]).predict_proba(X[200:])
    np.testing.assert_allclose(np.exp(scores), reference, atol=1e-4)


def test_path_scores_are_those_of_single_fits_and_leave_the_head_alone(head: Head) -> None:
    X, y, _ = clustered(200, 8, 3)
    grid = (0.01, 0.1, 1.0)
    path = head.path(X[:150], np.eye(3)[y[:150]], True, X[150:], grid)
    assert path.shape == (3, 50, 3)
    with pytest.raises(NotFittedError):
        head.predict(X)
    for C, scores in zip(grid, path, strict=True):
        alone = clone(head).set_params(C=C).fit(X[:150], y[:150]).decision_function(X[150:])
        np.testing.assert_allclose(scores, alone, atol=2e-3)


def test_tools_of_scikit_learn_accept_them(head: Head) -> None:
    X, y, _ = clustered(150, 6, 2)
    assert cross_val_score(clone(head), X, y, cv=3, scoring="roc_auc").mean() > 0.7
    again = pickle.loads(pickle.dumps(head.fit(X, y)))
    np.testing.assert_array_equal(again.decision_function(X), head.decision_function(X))


def test_rbf_survives_embeddings_without_variance() -> None:
    X = np.ones((6, 3))
    margin = SVMHead("rbf").fit(X, [0, 1] * 3).decision_function(X)
    assert np.isfinite(margin).all()


def test_an_unknown_head_brings_the_closest() -> None:
    with pytest.raises(EmbedkitError, match=r"unknown classifier 'svm-rfb'\. Did you mean svm-rbf"):
        probe(a_set(), classifier="svm-rfb")
