"""Each method against its formula by hand, at its limits, and several draws at once against one after the other."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy, normalize

from embedkit.probing import GRIDS
from embedkit.text.fewshot import METHODS, clip_adapter, lp_plus_plus, tip_adapter, tip_adapter_f
from embedkit.text.fewshot.course import Course, batches
from embedkit.text.fewshot.linear_probe import linear_probe
from embedkit.text.fewshot.lp_plus_plus import Blocks
from embedkit.text.fewshot.prototypes import prototypes
from embedkit.text.fewshot.shots import Part, Shots
from embedkit.text.fewshot.zero_shot import zero_shot
from tests.text.fewshot.making import a_part, some_shots

# Two classes, one shot each, on a plane: everything can be worked out by hand.
HAND = Shots(
    a_part(torch.tensor([[[1.0, 0.0], [0.6, 0.8]]]), torch.tensor([[0, 1]])),
    a_part(torch.tensor([[[1.0, 0.2], [0.1, 1.0]]]), torch.tensor([[0, 1]])),
    a_part(torch.tensor([[[0.8, 0.6]]]), torch.tensor([[1]])),
    torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
    torch.tensor([10.0]),
)


def one(shots: Shots, draw: int) -> Shots:
    def cut(part: Part) -> Part:
        return Part(part.F[draw : draw + 1], part.Z[draw : draw + 1], part.y[draw : draw + 1])

    return Shots(cut(shots.train), cut(shots.val), cut(shots.test), shots.W, shots.scale[draw : draw + 1])


def test_zero_shot_by_hand() -> None:
    # f = (.8, .6): cosines with (0, 1) and (1, 0), times 10.
    assert zero_shot(HAND).scores.flatten().tolist() == pytest.approx([6.0, 8.0])


def test_tip_adapter_by_hand() -> None:
    # Cosines with the two keys: .8 and .8 * .6 + .6 * .8 = .96.
    found = tip_adapter.logits(HAND, HAND.test, HAND.train.F, HAND.labels, alpha=2.0, beta=3.0)
    expected = [6 + 2 * math.exp(-3 * 0.2), 8 + 2 * math.exp(-3 * 0.04)]
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_tip_adapter_with_alpha_0_is_zero_shot() -> None:
    shots = some_shots()
    found = tip_adapter.logits(shots, shots.test, shots.train.F, shots.labels, alpha=0.0, beta=1.0)
    assert torch.equal(found, shots.zero_shot(shots.test))


def test_tip_adapter_chooses_alpha_0_where_the_cache_can_only_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tip_adapter, "ALPHAS", (0.0, 100.0))
    monkeypatch.setattr(tip_adapter, "BETAS", (5.0,))
    shots = some_shots(signal=10.0)
    swapped = dataclasses.replace(shots, train=dataclasses.replace(shots.train, y=(shots.train.y + 1) % 3))
    fitted = tip_adapter.tip_adapter(swapped)
    assert [chosen["alpha"] for chosen in fitted.chosen] == [0.0, 0.0]
    assert torch.equal(fitted.scores, shots.zero_shot(shots.test))


def test_tip_adapter_f_is_a_plain_loop_over_each_draw() -> None:
    shots = some_shots(each=3)
    fitted = tip_adapter_f.tip_adapter_f(shots, seed=5)
    for draw in range(2):
        alone = one(shots, draw)
        K = torch.nn.Parameter(alone.train.F[0].clone())
        order = list(batches(len(K), tip_adapter_f.EPOCHS, 5))
        optimizer = torch.optim.AdamW([K], 1e-3, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
        keys = [K.detach().clone()]
        V, y = torch.eye(3)[alone.train.y[0]], alone.train.y[0]
        for _, _, rows in order:
            f = alone.train.F[0][rows]
            logits = 10 * f @ alone.W.T + 1.17 * torch.exp(-1.0 * (1 - f @ K.T)) @ V
            optimizer.zero_grad()
            cross_entropy(logits, y[rows]).backward()
            optimizer.step()
            schedule.step()
            keys.append(K.detach().clone())
        expected = tip_adapter.searched(alone, keys[fitted.chosen[draw]["epoch"]][None])
        assert torch.allclose(fitted.scores[draw], expected.scores[0], atol=1e-4)


def test_clip_adapter_by_hand() -> None:
    Z, down, up = torch.tensor([[[0.6, 0.8]]]), torch.tensor([[[1.0], [-0.5]]]), torch.tensor([[[2.0, -1.0]]])
    # relu(.6 - .4) = .2; relu(.2 * (2, -1)) = (.4, 0); half of it and half of (.6, .8).
    expected = normalize(torch.tensor([0.5 * 0.4 + 0.5 * 0.6, 0.5 * 0.8]), dim=0)
    assert clip_adapter.adapted(Z, down, up).flatten().tolist() == pytest.approx(expected.tolist())
    assert torch.allclose(clip_adapter.adapted(Z, down, up, blend=0.0), Z)


def test_clip_adapter_learns_the_shots() -> None:
    shots = some_shots(each=8, signal=0.5)
    before = cross_entropy(shots.zero_shot(shots.train).flatten(0, 1), shots.train.y.flatten())
    again = dataclasses.replace(shots, test=shots.train)
    scores = clip_adapter.clip_adapter(again).scores
    assert cross_entropy(scores.flatten(0, 1), shots.train.y.flatten()) < before


def test_prototypes_by_hand() -> None:
    assert prototypes(HAND).scores.flatten().tolist() == pytest.approx([8.0, 9.6])


def test_the_linear_probe_is_that_of_scikit_learn_at_the_chosen_c() -> None:
    shots = some_shots(each=5)
    fitted = linear_probe(shots)
    for draw, scores in enumerate(fitted.scores):
        C = fitted.chosen[draw]["C"]
        assert C in GRIDS["logistic"].values
        theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10000)
        theirs.fit(shots.train.F[draw].double().numpy(), shots.train.y[draw].numpy())
        expected = theirs.predict_proba(shots.test.F[draw].double().numpy())
        assert np.abs(torch.softmax(scores, dim=-1).numpy() - expected).max() < 1e-3


def test_lp_plus_plus_by_hand() -> None:
    F, cosines = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[[0.5, 0.1], [0.2, 0.4]]])
    at = Blocks(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[10.0, 20.0]]))
    assert lp_plus_plus.logits(F, cosines, at).flatten().tolist() == pytest.approx([6.0, 5.0, 4.0, 12.0])
    # lambda_max(F.T F) = 1, the largest sum of squared cosines .25 + .04 = .29.
    sizes = lp_plus_plus.step_sizes(F, cosines)
    assert [size.item() for size in sizes] == pytest.approx([4.0, 4 / 0.29], rel=1e-5)
    labels = torch.eye(2)[None]
    after = lp_plus_plus.step(F, cosines, labels, at, (torch.tensor([1.0]), torch.tensor([0.0])))
    p = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-8))
    expected = [1 - (p[0] - 1) / 2, 2 - (1 - p[1]) / 2, 3 - (1 - p[0]) / 2, 4 - (p[1] - 1) / 2]
    assert after.w.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(after.alpha, at.alpha)


def test_lp_plus_plus_with_alpha_0_is_a_linear_probe() -> None:
    shots = some_shots(draws=1, each=30, d=3, signal=0.5)
    F, cosines = shots.train.F.double(), shots.cosines(shots.train).double()
    labels = shots.labels.double()
    at = Blocks(torch.zeros(1, 3, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    size = lp_plus_plus.step_sizes(F, cosines)[0]
    for _ in range(3000):
        at = lp_plus_plus.step(F, cosines, labels, at, (size, torch.zeros(1, dtype=torch.float64)))
    assert not at.alpha.any()
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10000)
    theirs.fit(F[0].numpy(), shots.train.y[0].numpy())
    found = torch.softmax(lp_plus_plus.logits(F, cosines, at)[0], dim=-1)
    assert np.abs(found.numpy() - theirs.predict_proba(F[0].numpy())).max() < 1e-4


def test_the_loss_of_lp_plus_plus_never_rises() -> None:
    shots = some_shots(each=6, signal=0.3)
    F, cosines, labels = shots.train.F, shots.cosines(shots.train), shots.labels
    sizes = lp_plus_plus.step_sizes(F, cosines)
    at = Blocks(torch.zeros(2, 3, 6), torch.full((2, 3), 10.0))
    losses = []
    for _ in range(40):
        log_p = torch.log_softmax(lp_plus_plus.logits(F, cosines, at), dim=-1)
        losses.append(-(log_p * labels).sum(dim=-1).mean(dim=-1))
        at = lp_plus_plus.step(F, cosines, labels, at, sizes)
    assert (torch.stack(losses).diff(dim=0) <= 1e-6).all()
    assert (losses[-1] < losses[0]).all()


def test_the_gradient_of_the_keys_is_that_of_the_formula() -> None:
    F, labels = normalize(torch.randn(2, 5, 6, dtype=torch.float64), dim=-1), torch.eye(4, dtype=torch.float64)[:, :3]
    labels = labels.expand(2, 4, 3)
    keys = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    plain = tip_adapter.votes(F @ keys.mT, labels, tip_adapter.BETA)
    torch.testing.assert_close(tip_adapter_f._Votes.apply(F, keys, labels), plain)
    assert torch.autograd.gradcheck(lambda one: tip_adapter_f._Votes.apply(F, one, labels), keys)


def test_votes_in_blocks_are_the_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    shots = some_shots()
    whole = tip_adapter.tip_adapter(shots)
    monkeypatch.setattr(tip_adapter, "_ROWS", 7)
    parts = tip_adapter.tip_adapter(shots)
    assert parts.chosen == whole.chosen
    torch.testing.assert_close(parts.scores, whole.scores)


def test_a_draw_is_over_where_it_has_not_become_better_for_long_whatever_others_do() -> None:
    y = torch.tensor([[0, 1], [0, 1]])
    course = Course(y, patience=2)
    right, wrong = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0.0, 1], [1, 0]])
    for epoch, first, second in [(0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 9, 3)]:
        scores = torch.stack([first * right + (1 - first) * wrong if epoch < 3 else 9 * right, (1 + second) * right])
        course.keep(epoch, lambda scores=scores: scores, [torch.full((2, 1), float(epoch))])
    # The first draw would be better in epoch 3, three after its best.
    assert course.epochs == [0, 3]
    assert course.kept[0].flatten().tolist() == [0, 3]


@pytest.mark.parametrize("name", METHODS)
def test_draws_together_are_the_draws_alone(name: str) -> None:
    shots = some_shots(draws=3, each=4, d=32)
    together = METHODS[name].fit(shots)
    assert together.scores.shape == (3, 30, 3)
    for draw in range(3):
        alone = METHODS[name].fit(one(shots, draw))
        assert alone.chosen[0] == pytest.approx(together.chosen[draw], rel=1e-4)
        assert torch.allclose(alone.scores[0], together.scores[draw], atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_reads_the_labels_of_the_judged_images(name: str) -> None:
    shots = some_shots()
    changed = dataclasses.replace(shots, test=dataclasses.replace(shots.test, y=(shots.test.y + 1) % 3))
    assert torch.equal(METHODS[name].fit(shots).scores, METHODS[name].fit(changed).scores)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tells_classes_apart(name: str) -> None:
    shots = some_shots(draws=1, each=8, d=16, signal=4.0)
    assert (METHODS[name].fit(shots).scores.argmax(dim=-1) == shots.test.y).float().mean() > 0.8
