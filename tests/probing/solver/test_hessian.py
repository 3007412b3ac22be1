"""Products, blocks and the whole matrix against second derivatives written out."""

import numpy as np
import pytest

from tests.probing.solver.making import Made, made

# So few rows that none is left out of a block, and so many that nothing is rotated.
FEW = 79


def products(at: Made, V: np.ndarray) -> np.ndarray:
    """Return what the matrices written out make of V (K, P, d + 1) in the coordinates of the embeddings."""
    K, P, d = V.shape
    return np.stack([(at.matrix(at.W, p) @ V[:, p].ravel()).reshape(K, d) for p in range(P)], axis=1)


def direction(at: Made) -> np.ndarray:
    V = np.random.default_rng(2).normal(size=at.W.shape)
    return np.asarray(V - V.mean(axis=0) * (at.classes > 1))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("n", "d"), [(700, 9), (60, 30)], ids=["plain", "rotated"])
def test_products(classes: int, n: int, d: int) -> None:
    with made(classes, n, d) as at:
        assert (at.axes.basis is None) == (n == 700)
        V = direction(at)
        wrong = at.objective.at(at.W, at.problems).wrong
        found = at.axes.back(at.hessian.times(at.axes.along(V), at.problems, wrong, np.arange(4)))
        expected = products(at, V)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        some = at.hessian.times(at.axes.along(V[:, [3, 1]]), at.problems.at(np.array([3, 1])), wrong, np.array([3, 1]))
        np.testing.assert_allclose(at.axes.back(some), found[:, [3, 1]], atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("classes", [1, 3])
def test_the_energy_of_coefficients_is_half_their_squared_length_without_intercepts(classes: int) -> None:
    with made(classes) as at:
        coef = direction(at)
        coef[..., -1] = 0
        wrong, some = at.objective.at(at.W, at.problems).wrong, np.array([2, 0])
        found = at.hessian.energy(direction(at)[:, some].astype(np.float32), at.problems.at(some), wrong, some)
        wanted = [coef[:, p].ravel() @ at.matrix(at.W, p) @ coef[:, p].ravel() / 2 for p in some]
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_whole_is_the_mean_over_the_problems_at_one_c(classes: int) -> None:
    with made(classes, n=FEW) as at:
        both = np.array([2, 3])
        wrong = [block[:, both] for block in at.objective.at(at.W, at.problems).wrong]
        found = at.hessian.whole(at.problems.at(both), wrong)
        expected = (at.matrix(at.W, 2) + at.matrix(at.W, 3)) / 2
        d = at.W.shape[2]
        if classes > 1:
            # What all intercepts have in common is given a curvature, which moves nothing that adds to 0.
            common = np.zeros((classes, d))
            common[:, -1] = 1
            found = found - (found[d - 1 :: d, d - 1 :: d].sum() / classes**2) * np.outer(common, common)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_block_of_a_class_has_the_diagonal_and_what_is_heavy() -> None:
    with made(n=FEW) as at:
        both = np.array([2, 3])
        wrong = [block[:, both] for block in at.objective.at(at.W, at.problems).wrong]
        weight = at.hessian.weight(1, 1, at.problems.at(both), wrong)
        block, diagonal = at.hessian.block(weight, 0)
        d = at.W.shape[2]
        expected = ((at.matrix(at.W, 2) + at.matrix(at.W, 3)) / 2)[d : 2 * d, d : 2 * d]
        expected = expected - np.diag([1.0] * (d - 1) + [0.0])
        np.testing.assert_allclose(diagonal, expected.diagonal(), rtol=1e-4)
        np.testing.assert_allclose(block, expected, atol=0.1 * np.abs(expected).max())
        tail, same = at.hessian.block(weight, 4)
        np.testing.assert_allclose(tail, block[4:, 4:], rtol=1e-5)
        np.testing.assert_allclose(same, diagonal, rtol=1e-6)


def test_rows_without_light_make_nearly_the_same_products() -> None:
    # Large coefficients: most images are certain.
    with made(scale=30.0) as at:
        wrong = at.objective.at(at.W, at.problems).wrong
        heavy, there = at.hessian.without_light(at.problems, wrong)
        assert len(heavy.features) < 0.8 * len(at.X)
        V = direction(at)
        whole = at.hessian.times(at.axes.along(V), at.problems, wrong, np.arange(4))
        fewer = heavy.times(at.axes.along(V), at.problems, there, np.arange(4))
        lost = np.einsum("kpd,kpd->p", at.axes.along(V), whole - fewer)
        assert (lost >= -1e-3).all()
        # The part that is lost of any curvature is at most that of the penalty's.
        assert (lost <= 0.05 * np.einsum("kpd,kpd->p", V[..., :-1], V[..., :-1]) + 0.05 * np.abs(lost)).all()


def test_all_rows_stay_where_none_is_light() -> None:
    with made() as at:
        wrong = at.objective.at(at.W, at.problems).wrong
        same, there = at.hessian.without_light(at.problems, wrong)
        assert same is at.hessian
        assert there is wrong
