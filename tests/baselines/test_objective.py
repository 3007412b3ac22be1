"""The loss, the schedule and the scores against torch's own and the formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from embedkit.baselines.objective import mean_loss, schedule, to_scores
from embedkit.probing.heads.balance import row_weights
from embedkit.probing.measures.calibration import probabilities


def _case(n: int, classes: int) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(n)
    return torch.from_numpy(rng.normal(size=(n, classes)).astype(np.float32)), rng.integers(classes, size=n)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_loss_of_classes_is_that_of_torch(classes: int) -> None:
    logits, y = _case(30, classes)
    found = mean_loss(logits, np.eye(classes)[y], True, None)
    torch.testing.assert_close(found, functional.cross_entropy(logits, torch.from_numpy(y)))


def test_balanced_classes_weigh_as_in_torch() -> None:
    logits, y = _case(30, 3)
    truth = np.eye(3)[y]
    weights = row_weights("balanced", truth, True, np.arange(3))
    per_class = torch.tensor(30 / (3 * truth.sum(axis=0)), dtype=torch.float32)
    each = functional.cross_entropy(logits, torch.from_numpy(y), weight=per_class, reduction="none")
    torch.testing.assert_close(mean_loss(logits, truth, True, weights), each.mean())


def test_the_loss_of_labels_leaves_out_what_is_not_judged() -> None:
    logits, _ = _case(30, 4)
    truth = np.random.default_rng(1).integers(2, size=(30, 4)).astype(float)
    truth[::3, 1] = np.nan
    known = ~np.isnan(truth)
    expected = functional.binary_cross_entropy_with_logits(
        logits[torch.from_numpy(known)], torch.from_numpy(truth[known]).float()
    )
    torch.testing.assert_close(mean_loss(logits, truth, False, None), expected)
    weights = row_weights("balanced", truth, False, np.arange(4))
    for k in range(4):
        column = np.where(known[:, k], weights[:, k], 0)
        assert column[truth[:, k] == 1].sum() == pytest.approx(column[truth[:, k] == 0].sum())
    each = functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(np.nan_to_num(truth)).float(), reduction="none"
    )
    by_hand = (each.numpy() * np.where(known, weights, 0)).sum() / known.sum()
    assert float(mean_loss(logits, truth, False, weights)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(("classes", "exclusive"), [(2, True), (4, True), (3, False)])
def test_scores_are_those_whose_probabilities_the_network_means(classes: int, exclusive: bool) -> None:
    logits, _ = _case(20, classes)
    meant = logits.softmax(dim=1) if exclusive else logits.sigmoid()
    found = probabilities(to_scores(logits, exclusive), exclusive)
    np.testing.assert_allclose(found, meant.numpy(), atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 20))
def test_the_rate_rises_through_the_first_epoch_and_falls_to_nothing(steps: int, epochs: int) -> None:
    rates = [schedule(step, steps, epochs) for step in range(steps * epochs)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1)
    assert all(0 < rate <= 1 for rate in rates)
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) <= 0)
    if epochs > 1:
        assert top + 1 in (steps, steps + 1)
        assert rates[-1] < 0.5 or steps * epochs < 6
