"""The way along C: no step is too large, and a smooth curve is followed."""

import numpy as np
import pytest

from embedkit.probing.solver.path import _continued, _with_steps


@pytest.mark.parametrize("Cs", [[1e5], [1e-6, 1e5], [1e-3], np.logspace(-6, 5, 45).tolist(), [2.0, 2.5]])
def test_every_c_is_near_the_one_before_and_the_first_is_easy(Cs: list[float]) -> None:
    grid = _with_steps(np.array(Cs))
    assert set(Cs) <= set(grid.tolist())
    assert grid[0] == min(1e-3, Cs[0])
    assert (np.diff(grid) > 0).all()
    assert (grid[1:] / grid[:-1] <= 10 * (1 + 1e-6)).all()


def test_a_cubic_in_the_logarithm_is_continued_exactly() -> None:
    values = [1.0, 2.0, 3.0, 5.0]
    curve = [np.array([[np.log(C) ** 3 - 2 * np.log(C)]]) for C in values]
    at = _continued(list(zip(values, curve, strict=True)), 8.0)
    np.testing.assert_allclose(at, np.log(8) ** 3 - 2 * np.log(8), rtol=1e-10)


def test_nothing_before_a_jump_is_continued() -> None:
    solved = [(1e-3, np.array([[9.0]])), (1.0, np.array([[1.0]])), (2.0, np.array([[2.0]]))]
    np.testing.assert_allclose(_continued(solved, 4.0), 3.0)
    np.testing.assert_allclose(_continued(solved, 100.0), 2.0)
