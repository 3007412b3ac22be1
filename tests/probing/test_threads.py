"""Side by side means the same numbers, and warnings that are counted."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from embedkit.probing.threads import counted_convergence, side_by_side


def test_results_come_in_the_order_of_the_items() -> None:
    assert side_by_side(lambda n: n * n, list(range(20))) == [n * n for n in range(20)]


def test_an_error_of_a_task_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda n: 1 / n, [1, 0, 2])


def test_products_are_the_same_bits_as_alone() -> None:
    X = np.random.default_rng(0).normal(size=(400, 300)).astype(np.float32)
    first, second = side_by_side(lambda _: X @ X.T, [0, 1]), side_by_side(lambda _: X @ X.T, [0])
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[0])


def test_convergence_warnings_of_threads_are_counted_and_others_pass() -> None:
    def noisy(_: int) -> None:
        warnings.warn("not there yet", ConvergenceWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="mind the gap") as seen, counted_convergence() as unconverged:
        side_by_side(noisy, [1, 2, 3])
        warnings.warn("mind the gap", UserWarning, stacklevel=1)
    assert len(unconverged) == 3
    assert not [warning for warning in seen if warning.category is ConvergenceWarning]
