"""The projection: what is learnt in few coordinates is what is learnt in all of them."""

import pytest
import torch
from torch.nn.functional import normalize

from embedkit.text.aligning import LOSSES, projection
from tests.text.fewshot.making import some_shots

GENERATOR = torch.Generator().manual_seed(1)


def the_problem(each: int = 4, d: int = 24, t: int = 9) -> tuple[torch.Tensor, ...]:
    shots = some_shots(draws=2, each=each, d=d)
    W = normalize(torch.randn(3, t, generator=GENERATOR), dim=-1)
    return shots.train.F.double(), shots.train.y, shots.val.F.double(), shots.val.y, W.double()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_span_of_images_and_texts_loses_nothing(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = the_problem()
    found = projection.fit(*problem, loss, steps=60)
    monkeypatch.setattr(projection, "span", lambda X: None)
    monkeypatch.setattr(projection, "_basis", lambda W: (torch.eye(W.shape[1], dtype=W.dtype), W))
    full = projection.fit(*problem, loss, steps=60)
    assert full.A.shape == (2, 9, 24)
    assert found.A.shape == (2, 3, 24)
    assert found.chosen == full.chosen
    X = problem[2]
    assert torch.allclose(found(X) @ problem[4].T, full(X) @ problem[4].T, atol=1e-8)
    assert torch.allclose(found.scale, full.scale)


@pytest.mark.parametrize("loss", LOSSES)
def test_images_go_to_the_texts_of_their_classes(loss: str) -> None:
    X, y, X_val, y_val, W = the_problem(each=12)
    found = projection.fit(X, y, X_val, y_val, W, loss)
    Z = found(X)
    assert torch.allclose(Z.norm(dim=-1), torch.ones_like(y, dtype=Z.dtype))
    assert ((Z @ W.T).argmax(dim=-1) == y).double().mean() > 0.9
    assert (found.scale <= projection.MOST).all()
    assert all(one["step"] >= projection.LOOK_EVERY for one in found.chosen)


def test_draws_together_are_the_draws_alone() -> None:
    X, y, X_val, y_val, W = the_problem()
    both = projection.fit(X, y, X_val, y_val, W)
    for draw in range(2):
        some = slice(draw, draw + 1)
        alone = projection.fit(X[some], y[some], X_val[some], y_val[some], W)
        assert alone.chosen[0] == both.chosen[draw]
        assert torch.allclose(alone.A[0], both.A[draw], atol=1e-8)


def test_more_images_than_dimensions() -> None:
    X, y, X_val, y_val, W = the_problem(each=12, d=5)
    assert projection.fit(X, y, X_val, y_val, W).A.shape == (2, 3, 5)
