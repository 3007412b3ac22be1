"""The way along C: no step is too large, and a smooth curve is followed."""

from typing import Any

import numpy as np
import pytest

from embedkit.probing.solver import path
from embedkit.probing.solver.objective import Objective, Problems
from embedkit.probing.solver.path import Known, _better_start, _continued, _with_steps
from tests.probing.solver.making import made

NONE = np.empty(0)


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
    at = _continued([Known(C, W, NONE) for C, W in zip(values, curve, strict=True)], 8.0)
    np.testing.assert_allclose(at, np.log(8) ** 3 - 2 * np.log(8), rtol=1e-10)


def test_nothing_before_a_jump_is_continued() -> None:
    solved = [Known(C, np.array([[W]]), NONE) for C, W in ((1e-3, 9.0), (1.0, 1.0), (2.0, 2.0))]
    np.testing.assert_allclose(_continued(solved, 4.0), 3.0)
    np.testing.assert_allclose(_continued(solved, 100.0), 2.0)


@pytest.mark.parametrize(("classes", "d"), [(1, 5), (3, 5), (3, 60)])
def test_where_an_objective_in_single_precision_leads_the_same_is_found(
    classes: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    led: list[int] = []
    plain = path.descend

    def counted(objective: Objective, *rest: Any) -> Any:
        led.append(len(objective.features))
        return plain(objective, *rest)

    monkeypatch.setattr(path, "descend", counted)
    Cs = np.array([0.01, 0.1, 0.3, 3.0])
    with made(classes, n=400, d=d) as at:
        start, family = np.zeros((classes, 2, d + 1)), np.zeros(2, int)
        rough = Objective(at.hessian.features, at.loss, at.weights, at.blocks) if at.axes.basis is None else None
        args = at.objective, at.hessian, at.axes, Cs
        found = list(path.solve_path(*args, start.copy(), family, 1e-6, rough))
        alone = list(path.solve_path(*args, start.copy(), family, 1e-6))
        states = [at.objective.at(one.W, Problems(np.arange(2), np.full(2, one.C))) for one in found]
    assert bool(led) == (d == 5)
    assert [one.C for one in found] == Cs.tolist()
    for one, other, state in zip(found, alone, states, strict=True):
        assert one.converged.all()
        np.testing.assert_allclose(one.W, other.W, atol=2e-4 * np.abs(other.W).max())
        assert np.abs(state.gradient).max() < 1e-4 * np.abs(one.W).max()


@pytest.mark.parametrize("classes", [1, 3])
def test_a_start_that_leads_astray_is_left_for_the_last_solution(classes: int) -> None:
    with made(classes) as at:
        first, then = Problems(np.arange(2), np.full(2, 0.1)), Problems(np.arange(2), np.full(2, 0.3))
        W = 0.01 * at.W[:, :2]
        known = Known(0.1, W, at.objective.at(W, first).value)
        np.testing.assert_allclose(known.value_at(then.C), at.objective.at(W, then).value, rtol=1e-12)
        led = np.stack([50 * W[:, 0], 0.9 * W[:, 1]], axis=1)
        # The line through this one and the last leads there.
        back = W - (led - W) * np.log(0.1 / 0.04) / np.log(0.3 / 0.1)
        begun = _better_start(at.objective, then, [Known(0.04, back, NONE), known])
        lower = at.objective.at(led, then).value < known.value_at(then.C)
        assert not lower[0]
        np.testing.assert_array_equal(begun.W[:, 0], W[:, 0])
        np.testing.assert_allclose(begun.W[:, 1], led[:, 1] if lower[1] else W[:, 1], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(begun.state.value, at.objective.at(begun.W, then).value)
