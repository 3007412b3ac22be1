"""Weights are scikit-learn's, for each label apart."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from embedkit.probing.heads.balance import row_weights


def test_classes_weigh_alike_together() -> None:
    y = np.array([0, 0, 0, 0, 2, 2, 3])
    found = row_weights("balanced", np.eye(5)[y], True, np.arange(5))
    np.testing.assert_allclose(found, compute_sample_weight("balanced", y))
    np.testing.assert_allclose([found[y == k].sum() for k in (0, 2, 3)], 7 / 3)


def test_weights_go_by_the_names_of_classes() -> None:
    classes = np.array(["bcc", "mel", "nv"])
    found = row_weights({"mel": 5.0, "nv": 0.5}, np.eye(3)[[1, 0, 2, 2]], True, classes)
    np.testing.assert_array_equal(found, [5, 1, 0.5, 0.5])


def test_labels_are_weighed_apart_and_what_is_not_judged_weighs_nothing() -> None:
    truth = np.array([[1, 0], [0, np.nan], [0, 1], [0, np.nan]])
    found = row_weights("balanced", truth, False, np.arange(2))
    np.testing.assert_allclose(found, [[2, 1], [2 / 3, 0], [2 / 3, 1], [2 / 3, 0]])
    found = row_weights({1: 10.0, 0: 1.0}, truth, False, np.arange(2))
    np.testing.assert_array_equal(found, [[10, 1], [1, 0], [1, 10], [1, 0]])


def test_labels_that_never_vary_are_no_error() -> None:
    truth = np.column_stack([np.ones(3), np.full(3, np.nan), [0, 1, 1]])
    found = row_weights("balanced", truth, False, np.arange(3))
    np.testing.assert_allclose(found, [[1, 0, 1.5], [1, 0, 0.75], [1, 0, 0.75]])


def test_nothing_asked_is_nothing_weighed() -> None:
    assert row_weights(None, np.eye(3), True, np.arange(3)) is None


def test_an_unknown_weighting_is_refused() -> None:
    with pytest.raises(ValueError, match="balanced"):
        row_weights("even", np.eye(3), True, np.arange(3))
