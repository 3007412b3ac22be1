"""The views of a case side by side."""

from typing import Any

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet
from embedkit.errors import EmbedkitError
from embedkit.probing import probe
from embedkit.probing.plan import make_plan
from embedkit.probing.settings import Settings
from tests.probing.making import QUICK

ROWS = [
    # breast, view, label, split
    ("l1", "CC", "a", "train"),
    ("l1", "MLO", "a", "train"),
    ("r1", "MLO", "b", "train"),
    ("r1", "CC", "b", "train"),
    ("r1", "CC", "b", "train"),
    ("l2", "CC", "a", "train"),
    ("r2", None, "a", "train"),
    ("r2", "ML", "a", "train"),
    ("l3", "CC", "a", "test"),
    ("l3", "MLO", "a", "test"),
    ("r3", "CC", "b", "test"),
    ("r3", "MLO", "b", "test"),
]


def cases(rows: list[tuple[Any, ...]] = ROWS) -> EmbeddingSet:
    X = np.random.default_rng(0).normal(size=(len(rows), 3)).astype(np.float32)
    breast, view, label, split = zip(*rows, strict=True)
    source = EmbeddingSet.from_arrays(X, label, groups=[name[1:] for name in breast], split=split)
    source.table["breast"], source.table["view"] = breast, view
    return source


def test_views_are_side_by_side_and_what_lacks_one_is_counted() -> None:
    source = cases()
    plan = make_plan(source, None, Settings(level="breast", views="view:CC,MLO"))
    assert plan.train.ids.tolist() == ["l1", "r1", "l3", "r3"]
    assert plan.train.groups.tolist() == ["1", "1", "3", "3"]
    X = source.X
    expected = [
        [*X[0], *X[1]],
        [*X[3:5].mean(axis=0), *X[2]],
        [*X[8], *X[9]],
        [*X[10], *X[11]],
    ]
    np.testing.assert_allclose(plan.train.X, expected, rtol=1e-6)
    assert plan.train.labels.truth.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert "2 images have none of the views CC, MLO in 'view' and were left out" in plan.notes
    assert "1 of 5 units of the level 'breast' lack a view and were left out (lacking: MLO 1)" in plan.notes


def test_the_order_of_the_views_is_the_one_given_and_the_greatest_may_be_taken() -> None:
    source = cases()
    plan = make_plan(source, None, Settings(level="breast", views="view:MLO,CC", pool="embeddings-max"))
    np.testing.assert_array_equal(plan.train.X[1], [*source.X[2], *source.X[3:5].max(axis=0)])


def test_all_views_of_the_column_without_names_and_the_same_in_another_set() -> None:
    known = cases([row for row in ROWS if row[1] in ("CC", "MLO")])
    plan = make_plan(known, cases(ROWS[8:]), Settings(level="breast", views="view"))
    assert plan.train.X.shape == (4, 6)
    assert plan.test.ids.tolist() == ["l3", "r3"]
    assert plan.test.X.shape == (2, 6)


def test_the_views_of_a_breast_are_those_of_a_patient_and_a_side() -> None:
    source = cases()
    source.table["side"] = source.table["breast"].str[0]
    plan = make_plan(source, None, Settings(level="group+side", views="view:CC,MLO"))
    named = make_plan(source, None, Settings(level="breast", views="view:CC,MLO"))
    np.testing.assert_array_equal(plan.train.X, named.train.X)
    assert plan.train.ids.tolist() == ["1 l", "1 r", "3 l", "3 r"]


def test_what_can_not_be_joined_is_said() -> None:
    source = cases()
    with pytest.raises(
        EmbedkitError, match=r"none of 6 units .* has all the views CC, ML, MLO \(they lack: CC 1, ML 5, MLO 2"
    ):
        make_plan(cases([row for row in ROWS if row[1] and row[0] != "r2"] + [("r9", "ML", "a", "train")]), None,
                  Settings(level="breast", views="view"))  # fmt: skip
    with pytest.raises(EmbedkitError, match=r"views = view:CC are 1, .*it holds CC, MLO, ML"):
        make_plan(source, None, Settings(level="breast", views="view:CC"))
    with pytest.raises(EmbedkitError, match="unknown column 'views'"):
        make_plan(source, None, Settings(level="breast", views="views"))


def test_two_views_tell_what_neither_tells_alone() -> None:
    rng = np.random.default_rng(0)
    n = 150
    left, right = rng.choice([-1.0, 1.0], n), rng.choice([-1.0, 1.0], n)
    y = np.where(left + right > 0, "both", "not")
    X = np.concatenate([left, right])[:, None] * np.array([[2.0, 0.5]]) + rng.normal(size=(2 * n, 2)) * 0.2
    source = EmbeddingSet.from_arrays(X.astype(np.float32), [*y, *y], groups=[*range(n)] * 2)
    source.table["view"] = ["CC"] * n + ["MLO"] * n
    alone, joined = (
        probe(source, classifier="lda", level="group", **how, **QUICK)
        for how in ({"pool": "embeddings-max"}, {"views": "view"})
    )
    assert joined.auc["value"] > 0.99 > alone.auc["value"]
    assert (joined.n_test, joined.protocol["features"]) == (n, 4)
    assert joined.protocol["settings"]["views"] == "view"


def test_views_that_no_image_has_are_refused_with_those_there_are() -> None:
    with pytest.raises(EmbedkitError, match=r"no image has one of the views L, R in 'view', which holds .*CC"):
        make_plan(cases(), None, Settings(level="breast", views="view:L,R"))
