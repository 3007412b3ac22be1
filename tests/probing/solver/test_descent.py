"""Down without a Hessian: near the minimum that Newton's method finds, from a preconditioner of whatever C."""

import numpy as np
import pytest

from embedkit.probing.solver.descent import descend
from embedkit.probing.solver.newton import minimise
from embedkit.probing.solver.objective import Objective, Point, Problems
from embedkit.probing.solver.precondition import ClassBlocks
from tests.probing.solver.making import Made, made

FAMILY = np.zeros(2, int)
BOTH = np.arange(2)


def problems(C: float) -> Problems:
    return Problems(BOTH, np.full(2, C))


def point(objective: Objective, W: np.ndarray, C: float) -> Point:
    return Point(problems(C), W, objective.at(W, problems(C)))


def blocks(at: Made, C: float) -> ClassBlocks:
    wrong = at.objective.at(np.zeros_like(at.W[:, :2]), problems(C)).wrong
    return ClassBlocks(at.hessian, FAMILY, problems(C), wrong, rotated=False)


def minimum(at: Made, C: float) -> np.ndarray:
    begun = point(at.objective, np.zeros_like(at.W[:, :2]), C)
    found = minimise(at.objective, at.hessian, at.axes, begun, blocks(at, C), np.ones(2))
    for _ in range(20):
        for p in BOTH:
            # Newton's steps by the definition of the second derivatives: the intercepts have nothing in common.
            slope = at.objective.at(found.W, problems(C)).gradient[:, p].ravel()
            there = np.zeros_like(at.W)
            there[:, p] = found.W[:, p]
            at_c = at.problems.C.copy()
            at.problems.C[:] = C
            found.W[:, p] -= (np.linalg.pinv(at.matrix(there, p)) @ slope).reshape(found.W[:, p].shape)
            at.problems.C[:] = at_c
    return found.W


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("made_at", [2.0, 0.2])
def test_it_leads_near_the_minimum(classes: int, made_at: float) -> None:
    with made(classes) as at:
        rough = Objective(at.hessian.features, at.loss, at.weights, at.blocks)
        W = 0.3 * at.W[:, :2]
        begun = point(rough, W, 2.0)
        found = descend(rough, at.hessian, at.axes, begun, blocks(at, made_at), np.full(2, 1e-5))
        wanted = minimum(at, 2.0)
        gradient = at.objective.at(wanted, problems(2.0)).gradient
        assert np.abs(gradient).max() < 1e-9 * np.abs(wanted).max() * len(at.X)
        p, q = (at.probabilities(np.repeat(W, 2, axis=1))[:2] for W in (found, wanted))
        np.testing.assert_allclose(p, q, atol=1e-4)
        np.testing.assert_array_equal(W, 0.3 * at.W[:, :2])


@pytest.mark.parametrize("classes", [1, 3])
def test_steps_of_a_preconditioner_that_is_all_wrong_are_no_longer_than_helps(classes: int) -> None:
    with made(classes) as at:
        begun = point(at.objective, 0.3 * at.W[:, :2], 2.0)
        found = descend(at.objective, at.hessian, at.axes, begun, blocks(at, 2e-4), np.full(2, 1e-5))
        lost, least = (at.objective.at(one, problems(2.0)).value for one in (found, minimum(at, 2.0)))
        assert (lost - least < 0.5 * (begun.state.value - least)).all()


def test_what_is_near_enough_stays_where_it_is_while_others_go_on() -> None:
    with made(3) as at:
        W = np.stack([minimum(at, 2.0)[:, 0], 0.3 * at.W[:, 1]], axis=1)
        begun = point(at.objective, W, 2.0)
        found = descend(at.objective, at.hessian, at.axes, begun, blocks(at, 2.0), np.full(2, 1e-3))
        np.testing.assert_allclose(found[:, 0], W[:, 0], atol=1e-5)
        assert not np.allclose(found[:, 1], W[:, 1], atol=0.1)
        assert (at.objective.at(found, problems(2.0)).value <= begun.state.value).all()


def test_it_ends_where_steps_no_longer_help(monkeypatch: pytest.MonkeyPatch) -> None:
    from embedkit.probing.solver import descent

    monkeypatch.setattr(descent, "_STEPS", 1000)
    with made(3) as at:
        rough = Objective(at.hessian.features, at.loss, at.weights, at.blocks)
        begun = point(rough, 0.3 * at.W[:, :2], 2.0)
        before = rough.multiply_adds
        found = descend(rough, at.hessian, at.axes, begun, blocks(at, 2.0), np.zeros(2))
        assert rough.multiply_adds < 60 * before
        least = at.objective.at(minimum(at, 2.0), problems(2.0)).value
        assert (at.objective.at(found, problems(2.0)).value < least * (1 + 1e-5)).all()
