"""Preconditioners are inverses: exact ones of the whole Hessian, near ones of its blocks."""

import numpy as np
import pytest

from embedkit.probing.solver.precondition import ClassBlocks, Whole, _proportional
from tests.probing.solver.making import Made, made

FAMILY = np.zeros(2, int)


def residual_of(at: Made) -> np.ndarray:
    r = np.random.default_rng(3).normal(size=at.W.shape)
    return np.asarray(r - r.mean(axis=0) * (at.classes > 1), np.float32)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_whole_undoes_the_hessian_it_was_made_of(classes: int) -> None:
    with made(classes, n=79) as at:
        one = np.array([2])
        wrong = [block[:, one] for block in at.objective.at(at.W, at.problems).wrong]
        whole = Whole(at.hessian, FAMILY, at.problems.at(one), wrong)
        r = residual_of(at)[:, one]
        step = whole.solve(r, at.problems.at(one))
        back = (at.matrix(at.W, 2) @ step[:, 0].ravel()).reshape(r[:, 0].shape)
        back -= back.mean(axis=0) * (classes > 1)
        np.testing.assert_allclose(back, r[:, 0], atol=1e-3)


@pytest.mark.parametrize("classes", [1, 3])
def test_blocks_are_symmetric_positive_and_stay_where_classes_add_to_nothing(classes: int) -> None:
    with made(classes) as at:
        state = at.objective.at(at.W, at.problems)
        blocks = ClassBlocks(at.hessian, FAMILY, at.problems, state.wrong, rotated=False)
        r, problems = residual_of(at), at.problems
        step = blocks.solve(r, problems)
        other = blocks.solve(r[:, ::-1].copy(), problems)[:, ::-1]
        assert (np.einsum("kpd,kpd->p", r, step) > 0).all()
        np.testing.assert_allclose(
            np.einsum("kpd,kpd->p", r[:, [1, 0, 3, 2]], step),
            np.einsum("kpd,kpd->p", r, blocks.solve(r[:, [1, 0, 3, 2]], problems)),
            rtol=1e-3,
        )
        np.testing.assert_allclose(other, step, rtol=1e-3, atol=1e-5)
        if classes > 1:
            np.testing.assert_allclose(step.sum(axis=0), 0, atol=1e-5)


def test_each_family_has_blocks_of_its_own() -> None:
    with made(1) as at:
        state = at.objective.at(at.W, at.problems)
        first = np.array([0, 1])
        wrong = [block[:, first] for block in state.wrong]
        apart = ClassBlocks(at.hessian, np.array([0, 1]), at.problems.at(first), wrong, rotated=False)
        r = residual_of(at)[:, :2]
        r[:, 1] = r[:, 0]
        step = apart.solve(r, at.problems.at(first))
        assert not np.allclose(step[:, 0], step[:, 1], rtol=1e-3)
        np.testing.assert_array_equal(apart.solve(r[:, :1], at.problems.at(first[1:]))[:, 0], step[:, 1])


def test_proportional_weights_share_a_block() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.uniform(size=(2, 50))
    weights = {(0, 0): one, (1, 0): 3 * one, (2, 0): other, (3, 0): 0.5 * one + 1e-3 * other}
    kinds = [set(alike) for alike in _proportional(weights)]
    assert sorted(map(sorted, kinds)) == [[(0, 0), (1, 0)], [(2, 0)], [(3, 0)]]
    shared = next(alike for alike in _proportional(weights) if (0, 0) in alike)
    assert next(iter(shared)) == (1, 0)
    assert shared[0, 0] == pytest.approx(1 / 3)


def test_a_hard_problem_gets_a_hessian_of_its_own() -> None:
    with made(3, n=79) as at:
        state = at.objective.at(at.W, at.problems)
        both, wrong = np.array([2, 3]), [block[:, 2:] for block in state.wrong]
        shared = Whole(at.hessian, FAMILY, at.problems.at(both), wrong)
        sharper = shared.sharper(at.problems.at(both), wrong, np.array([1]))
        r, there = residual_of(at)[:, both], at.problems.at(both)
        before, after = shared.solve(r, there), sharper.solve(r, there)
        np.testing.assert_allclose(after[:, 0], before[:, 0], rtol=1e-4, atol=1e-6)
        errors = []
        for step in (before, after):
            back = (at.matrix(at.W, 3) @ step[:, 1].ravel()).reshape(r[:, 1].shape)
            errors.append(np.abs(back - back.mean(axis=0) - r[:, 1]).max())
        # What it leaves out adds, beside the penalty's 1, to at most .05.
        assert errors[1] < 0.02
        assert errors[0] > 0.2


def test_blocks_give_way_to_the_whole_where_steps_take_long() -> None:
    with made(3) as at:
        wrong, first = at.objective.at(at.W, at.problems).wrong, np.array([0, 1])
        blocks = ClassBlocks(at.hessian, FAMILY, at.problems.at(first), [w[:, first] for w in wrong], False, early=True)
        nearer = blocks.sharper(at.problems, wrong, first)
        assert isinstance(nearer, ClassBlocks)
        assert nearer.patience > blocks.patience
        assert nearer.renewed(at.problems.at(first), [w[:, first] for w in wrong], 0.0) is nearer
        assert isinstance(nearer.sharper(at.problems, wrong, first), Whole)
