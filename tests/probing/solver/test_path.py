"""The way along C: no step is too large, and a smooth curve is followed."""

from typing import Any

import numpy as np
import pytest

from embedkit.probing.solver import path
from embedkit.probing.solver.hessian import Hessian
from embedkit.probing.solver.objective import Objective, Problems
from embedkit.probing.solver.path import _continued, _with_steps
from tests.probing.solver.making import made


@pytest.mark.parametrize("Cs", [[1e5], [1e-6, 1e5], [1e-3], np.logspace(-6, 5, 45).tolist(), [2.0, 2.5]])
def test_every_c_is_near_the_one_before_and_the_first_is_easy(Cs: list[float]) -> None:
    grid = _with_steps(np.array(Cs), 1e-3)
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


@pytest.mark.parametrize("classes", [1, 3])
def test_of_very_many_rows_a_part_is_solved_first_and_all_of_them_in_the_end(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    plain = path.minimise

    def counted(objective: Objective, *rest: Any) -> Any:
        sizes.append(len(objective.features))
        return plain(objective, *rest)

    monkeypatch.setattr(path, "minimise", counted)
    with made(classes, n=3000, d=5) as at:
        start, family = np.zeros((classes, 2, 6)), np.zeros(2, int)
        found = list(path.solve_path(at.objective, at.hessian, at.axes, np.array([0.1, 3.0]), start, family, 1e-6))
        states = [at.objective.at(one.W, Problems(np.arange(2), np.full(2, one.C))) for one in found]
    assert set(sizes) == {16 * 6, 3000}
    assert sizes == sorted(sizes)
    for one, state in zip(found, states, strict=True):
        assert one.converged.all()
        assert np.abs(state.gradient).max() < 1e-4 * np.abs(one.W).max()


def test_a_part_in_which_a_class_is_hardly_seen_is_no_start() -> None:
    with made(3, n=3000, d=5) as at:
        weights = at.weights * (at.truth[:, 0] == 0)
        weights[:, np.flatnonzero(at.truth[:, 0])[:40]] = 1
        args = at.axes, 0.1, np.zeros((3, 2, 6)), np.zeros(2, int)
        assert (
            path._of_some_rows(at.objective, Hessian(at.hessian.features, at.loss, weights, at.blocks), *args) is None
        )
        assert path._of_some_rows(at.objective, at.hessian, *args) is not None
