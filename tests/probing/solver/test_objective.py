"""Values by their definition, gradients by finite differences."""

import numpy as np
import pytest

from embedkit.probing.solver.objective import penalty
from tests.probing.solver.making import made


@pytest.mark.parametrize("classes", [1, 3])
def test_the_value_is_that_of_the_definition(classes: int) -> None:
    with made(classes) as at:
        found = at.objective.at(at.W, at.problems)
        np.testing.assert_allclose(found.value, at.value(at.W), rtol=1e-12)
        for rows, block in zip(at.blocks.slices, found.wrong, strict=True):
            p = at.probabilities(at.W)[:, rows]
            truth = at.truth[rows]
            wrong = np.where(truth == 1, 1 - p, p) if classes == 1 else p * (1 - truth)
            np.testing.assert_allclose(block, wrong.transpose(2, 0, 1), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_gradient_is_the_slope_of_the_value(classes: int) -> None:
    with made(classes) as at:
        gradient = at.objective.at(at.W, at.problems).gradient
        direction = np.random.default_rng(1).normal(size=at.W.shape)
        direction -= direction.mean(axis=0) * (classes > 1)
        slope = (at.value(at.W + 1e-5 * direction) - at.value(at.W - 1e-5 * direction)) / 2e-5
        np.testing.assert_allclose(np.einsum("kpd,kpd->p", gradient, direction), slope, rtol=1e-7)


def test_the_intercept_has_no_penalty() -> None:
    W = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(penalty(W), [(0 + 1 + 36 + 49) / 2, (9 + 16 + 81 + 100) / 2])


def test_the_state_of_some_problems() -> None:
    with made() as at:
        whole, chosen = at.objective.at(at.W, at.problems), np.array([2, 0])
        some, alone = whole.at(chosen), at.objective.at(at.W[:, chosen], at.problems.at(chosen))
        np.testing.assert_allclose(some.value, alone.value, rtol=1e-13)
        np.testing.assert_allclose(some.gradient, alone.gradient, atol=1e-11)
        for one, other in zip(some.wrong, alone.wrong, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
