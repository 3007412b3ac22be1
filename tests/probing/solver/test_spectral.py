"""The diagonal in principal axes: the Hessian itself where nothing is certain, and near it for any C."""

import numpy as np

from embedkit.probing.solver.objective import Problems
from embedkit.probing.solver.precondition import ClassBlocks
from embedkit.probing.solver.spectral import Spectral
from tests.probing.solver.making import Made, made

FAMILY = np.zeros(2, int)
FIRST = np.array([0, 1])


def spectral(at: Made, W: np.ndarray) -> Spectral:
    state = at.objective.at(W, at.problems.at(FIRST))
    return Spectral(at.hessian, FAMILY, at.problems.at(FIRST), state.wrong)


def test_where_nothing_is_certain_it_undoes_the_hessian_of_any_c() -> None:
    with made(1, n=140) as at:
        at.weights[:] = 1
        r = np.random.default_rng(1).normal(size=at.W.shape).astype(np.float32)
        step = spectral(at, np.zeros_like(at.W[:, :2])).solve(r, at.problems)
        for p in range(4):
            back = at.matrix(np.zeros_like(at.W), p) @ step[:, p].ravel()
            np.testing.assert_allclose(back, r[:, p].ravel(), atol=2e-3)
        assert set(at.problems.C) == {0.1, 3.0}


def test_it_is_symmetric_and_positive() -> None:
    with made(1) as at:
        rng = np.random.default_rng(2)
        r, other = rng.normal(size=(2, *at.W.shape)).astype(np.float32)
        known = spectral(at, at.W[:, :2])
        step = known.solve(r, at.problems)
        assert (np.einsum("kpd,kpd->p", r, step) > 0).all()
        np.testing.assert_allclose(
            np.einsum("kpd,kpd->p", other, step),
            np.einsum("kpd,kpd->p", r, known.solve(other, at.problems)),
            rtol=1e-3,
            atol=1e-4,
        )


def test_it_knows_how_an_intercept_depends_on_the_rows_that_count() -> None:
    with made(1, n=140) as at:
        # Certain on one side of the first feature: the rows that still count have a mean of their own.
        W = np.zeros_like(at.W)
        W[..., 0], W[..., -1] = 4, 6
        r = np.zeros_like(at.W, dtype=np.float32)
        r[..., -1] = 1
        step = spectral(at, W[:, :2]).solve(r, at.problems)
        exactly = np.linalg.solve(at.matrix(W, 3), r[:, 3].ravel())
        assert abs(exactly[0]) > 0.2 * abs(exactly[-1])
        np.testing.assert_allclose(step[0, 3, [0, -1]], exactly[[0, -1]], rtol=0.2)


def test_it_is_made_anew_where_the_weights_have_changed_and_gives_way_where_that_is_not_enough() -> None:
    with made(1) as at:
        r = np.ones_like(at.W, dtype=np.float32)
        none = spectral(at, np.zeros_like(at.W[:, :2]))
        there = Problems(FIRST, np.full(2, 3.0))
        wrong = at.objective.at(at.W[:, 2:], there).wrong
        renewed = none.renewed(there, wrong, 0.0)
        assert isinstance(renewed, Spectral)
        made_there = Spectral(at.hessian, FAMILY, there, wrong)
        np.testing.assert_allclose(renewed.solve(r, at.problems), made_there.solve(r, at.problems), rtol=1e-6)
        assert not np.allclose(renewed.solve(r, at.problems), none.solve(r, at.problems), rtol=0.01)
        assert isinstance(none.renewed(there, wrong, 1e12), ClassBlocks)
        assert isinstance(none.sharper(there, wrong, FIRST), ClassBlocks)
