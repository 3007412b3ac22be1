"""Products by torch on a device, here torch's own processor, and the solutions that come of them."""

import numpy as np
import pytest
import torch

from embedkit.errors import EmbedkitError
from embedkit.probing.heads.classifiers import SEARCH_ACCURACY, LogisticHead
from embedkit.probing.solver import gpu
from embedkit.probing.solver.gpu import OnDevice
from embedkit.probing.solver.logistic import Solution, solve, solve_folds
from embedkit.probing.solver.rotation import Ready
from tests.probing.solver.test_logistic import embeddings, probabilities, truth_of

# Another name of the processor, by which torch is taken and numpy is not.
DEVICE = "cpu:0"
GRID = [1e-6, 1e-3, 1.0, 1e3, 1e5]


@pytest.mark.parametrize(("kind", "error"), [("double", 1e-14), ("single", 1e-6), ("rounded", 0.02)])
def test_products_on_a_device(kind: str, error: float) -> None:
    X = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32)
    made = OnDevice.made_of(X, DEVICE, rounded=kind == "rounded", double=kind == "double")
    some = np.array([3, 5, 8, 30])
    for products, rows in ((made, X), (made.of(some), X[some])):
        block = products.block(slice(0, len(rows)))
        W = np.random.default_rng(1).normal(size=(5, 24))
        S = np.random.default_rng(2).normal(size=(5, len(rows)))
        across, down = products.across(block, W), products.down(products.there(S), block)
        assert isinstance(across, torch.Tensor)
        assert isinstance(down, np.ndarray)
        for found, expected in ((across.numpy(), W @ rows.astype(float).T), (down, S @ rows.astype(float))):
            assert found.dtype == (np.float64 if kind == "double" else np.float32)
            np.testing.assert_allclose(found, expected, atol=error * np.abs(expected).max())
    np.testing.assert_allclose(made.square(X), X.astype(float).T @ X, atol=max(error, 1e-6) * len(X))


def agree(X: np.ndarray, found: Solution, expected: Solution, error: float) -> None:
    assert found.converged.all()
    for at in np.ndindex(found.coef.shape[:-2]):
        p, q = (probabilities(X.astype(float) @ one.coef[at].T + one.intercept[at]) for one in (found, expected))
        np.testing.assert_allclose(p, q, atol=error)


@pytest.mark.parametrize(("n", "d"), [(300, 60), (50, 120), (400, 20)], ids=["n>d", "n<d", "tall"])
@pytest.mark.parametrize("classes", [2, 4])
def test_solutions_on_a_device_are_those_of_the_processor(
    n: int, d: int, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several blocks, as very many rows have.
    monkeypatch.setattr(gpu, "ROWS", 128)
    X, y = embeddings("standard", n, d, classes)
    truth = truth_of(y, classes)
    agree(X, solve(Ready(X, DEVICE), truth, True, GRID), solve(X, truth, True, GRID), 2e-5)
    kept = np.stack([np.arange(n) % 3 != number for number in range(3)]).astype(float)
    rough = solve_folds(Ready(X, DEVICE), truth, True, GRID, kept, SEARCH_ACCURACY)
    agree(X, rough, solve_folds(X, truth, True, GRID, kept), 2 * SEARCH_ACCURACY)


def test_labels_that_are_not_judged_everywhere_on_a_device() -> None:
    X, y = embeddings("standard", 300, 20, 3)
    truth = truth_of(y, 3)
    truth[:60, 1] = np.nan
    found, expected = (solve(Z, truth, False, GRID) for Z in (Ready(X, DEVICE), X))
    assert found.converged.all()
    for c in range(len(GRID)):
        scores = [X.astype(float) @ one.coef[c].T + one.intercept[c] for one in (found, expected)]
        np.testing.assert_allclose(*(1 / (1 + np.exp(-s)) for s in scores), atol=2e-5)


def test_very_many_rows_begin_with_some_on_a_device() -> None:
    X, y = embeddings("standard", 900, 12, 3)
    agree(X, solve(Ready(X, DEVICE), truth_of(y), True, [1.0]), solve(X, truth_of(y), True, [1.0]), 2e-5)


def test_the_head_hands_its_device_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    plain = OnDevice.made_of.__func__

    def noted(cls: type[OnDevice], X: np.ndarray, device: str, **how: bool) -> OnDevice:
        made.append(device)
        return plain(cls, X, device, **how)

    monkeypatch.setattr(OnDevice, "made_of", classmethod(noted))
    X, y = embeddings("standard", 80, 12, 3)
    expected = LogisticHead(C=1.0).fit(X, y).predict_proba(X)
    assert not made
    np.testing.assert_allclose(LogisticHead(C=1.0, device=DEVICE).fit(X, y).predict_proba(X), expected, atol=2e-5)
    assert set(made) == {DEVICE}


def test_memory_that_runs_out_on_a_device_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(OnDevice, "across", full)
    X, y = embeddings("standard", 80, 12, 3)
    with pytest.raises(EmbedkitError, match=r"'cpu:0' has too little memory.*leave --device out"):
        solve(Ready(X, DEVICE), truth_of(y), True, [1.0])
