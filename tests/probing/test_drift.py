"""The drift of an AUC is the difference of two AUCs that scikit-learn finds too."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing.drift import auc_drift
from embedkit.probing.plan import make_plan
from embedkit.probing.settings import Settings


def _pair(n: int, noise: float, classes: int = 2, seed: int = 0) -> tuple[EmbeddingSet, EmbeddingSet, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    X = (rng.normal(size=(n, 12)) + np.eye(12)[y] * 2).astype(np.float32)
    rough = (X + rng.normal(scale=noise, size=X.shape)).astype(np.float32)
    groups = [f"p{i // 2}" for i in range(n)]
    exact, other = (EmbeddingSet.from_arrays(V, y.astype(str), groups=groups) for V in (X, rough))
    return exact, other, y


def test_the_same_vectors_do_not_drift() -> None:
    exact, _, _ = _pair(120, 0)
    found = auc_drift(exact, exact)
    assert found["difference"] == found["low"] == found["high"] == 0
    assert found["exact"] == found["other"] > 0.7
    assert (found["target"], found["images"]) == ("label", 120)


def test_the_difference_is_that_of_two_aucs_of_scikit_learn() -> None:
    exact, other, y = _pair(200, 3.0)
    found = auc_drift(exact, other)
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["difference"] == pytest.approx(found["other"] - found["exact"])
    assert found["high"] < 0
    folds = make_plan(exact, None, Settings(split="folds")).folds
    for name, one in (("exact", exact), ("other", other)):
        aucs = []
        for fold in folds:
            rows = fold.fitted()
            scaler = StandardScaler().fit(one.X[rows])
            model = LogisticRegression(C=0.01, tol=1e-8, max_iter=1000).fit(scaler.transform(one.X[rows]), y[rows])
            judged = fold.test
            aucs.append(roc_auc_score(y[judged], model.decision_function(scaler.transform(one.X[judged]))))
        assert found[name] == pytest.approx(np.mean(aucs), abs=2e-3)


def test_rare_classes_are_left_out() -> None:
    exact, other, y = _pair(150, 0.5, classes=3)
    rare = np.where(np.arange(150) < 4, "rare", y.astype(str))
    pair = [EmbeddingSet.from_arrays(one.X, rare) for one in (exact, other)]
    assert auc_drift(*pair)["images"] == 146


def test_labels_that_few_images_have_are_left_out() -> None:
    exact, other, y = _pair(150, 0.5)
    labels = np.column_stack([y, 1 - y, np.arange(150) < 3]).astype(float)
    pair = [EmbeddingSet.from_arrays(one.X, labels) for one in (exact, other)]
    alone = [EmbeddingSet.from_arrays(one.X, labels[:, :2]) for one in (exact, other)]
    assert auc_drift(*pair) == auc_drift(*alone)


@pytest.mark.parametrize(("n", "classes"), [(40, 2), (200, 1)])
def test_too_few_labels_say_nothing(n: int, classes: int) -> None:
    exact, other, _ = _pair(n, 0.5, classes)
    with pytest.raises(EmbedkitError, match=f"too few of these {n} images have a label of 'label'"):
        auc_drift(exact, other)
