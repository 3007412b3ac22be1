"""Products by numpy and in bfloat16 against those in double precision, and who is multiplied in which."""

import sys

import numpy as np
import pytest

from embedkit.probing.solver import logistic, products
from embedkit.probing.solver.products import Plain, Products, Rounded, one_thread, rounding_pays

X = np.random.default_rng(0).normal(size=(70, 24)).astype(np.float32)
SOME = np.array([3, 5, 8, 30])


def check(made: Products, rows: np.ndarray, error: float) -> None:
    for columns in (1, 5, 16, 17):
        W = np.random.default_rng(1).normal(size=(columns, 24)).astype(np.float32)
        S = np.random.default_rng(2).normal(size=(columns, len(rows))).astype(np.float32)
        block = made.block(slice(0, len(rows)))
        across, down = made.across(block, W), made.down(S, block)
        assert across.dtype == down.dtype == (np.float64 if error < 1e-12 else np.float32)
        for found, expected in ((across, W.astype(float) @ rows.T), (down, S.astype(float) @ rows)):
            np.testing.assert_allclose(found, expected, atol=error * np.abs(expected).max())


@pytest.mark.parametrize(("precision", "error"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_plain_products(precision: type[np.floating], error: float) -> None:
    plain = Plain(X, precision)
    check(plain, X.astype(float), error)
    check(plain.of(SOME), X[SOME].astype(float), error)
    # Rows of some rows are counted among these, not among all.
    check(plain.of(SOME).of(np.array([1, 3])), X[[5, 30]].astype(float), error)


def test_rounded_products_have_three_digits() -> None:
    rounded = Rounded.made_of(X)
    check(rounded, X.astype(float), 0.02)
    check(rounded.of(SOME).of(np.array([1, 3])), X[[5, 30]].astype(float), 0.02)
    np.testing.assert_allclose(rounded.square(X), X.T @ X, atol=0.02 * len(X))


def test_only_large_problems_are_rounded_and_only_where_there_are_units_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "has_matrix_units", lambda: True)
    assert rounding_pays(1e11)
    assert not rounding_pays(1e8)
    monkeypatch.setattr(products, "has_matrix_units", lambda: False)
    assert not rounding_pays(1e11)


def test_torch_has_its_threads_again() -> None:
    import torch

    before = torch.get_num_threads()
    with one_thread(Rounded.made_of(X)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with one_thread(Plain(X, np.float32)):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_rounded_on_the_way_is_not_in_the_solution(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(0, classes, 300)
    embeddings = (rng.normal(size=(300, 60)) * np.arange(1, 61) ** -1.0 + 0.3 * codes[:, None]).astype(np.float32)
    truth, Cs = np.eye(classes)[codes], [1e-6, 1e-2, 1e2, 1e5]
    made = []
    plain = Rounded.made_of.__func__
    monkeypatch.setattr(Rounded, "made_of", classmethod(lambda cls, X: made.append(len(X)) or plain(cls, X)))
    exact = logistic.solve(embeddings, truth, True, Cs)
    monkeypatch.setattr(logistic, "rounding_pays", lambda _: True)
    rounded = logistic.solve(embeddings, truth, True, Cs)
    assert made == [300]
    assert rounded.converged.all()
    scores = [embeddings.astype(float) @ one.coef[c].T + one.intercept[c] for one in (exact, rounded) for c in range(4)]
    for a, b in zip(scores[:4], scores[4:], strict=True):
        p, q = (np.exp(s - np.logaddexp.reduce(s, axis=1, keepdims=True)) for s in (a, b))
        np.testing.assert_allclose(q, p, atol=2e-5)


def test_small_and_tall_problems_bring_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_matrix_units", lambda: True)
    monkeypatch.setattr(products, "_LARGE", 1e3)
    monkeypatch.setattr(Rounded, "made_of", lambda _: pytest.fail("a tall matrix was copied"))
    monkeypatch.setitem(sys.modules, "torch", None)
    tall = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    logistic.solve(tall, np.eye(2)[(tall[:, 0] > 0).astype(int)], True, [0.1])
