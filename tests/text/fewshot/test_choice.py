"""The choice on validation shots beside scikit-learn, and what decides where it ties."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from embedkit.text.fewshot.choice import best, macro_auc


def test_the_auc_is_that_of_scikit_learn_for_many_scorings_at_once() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (2, 3, 40, 3)).astype(float)
    y = rng.integers(3, size=40)
    found = macro_auc(scores, y)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        expected = [roc_auc_score(y == k, scores[place][:, k]) for k in range(3)]
        assert abs(found[place] - np.mean(expected)) < 1e-12


def test_a_class_without_validation_shots_is_left_out() -> None:
    scores = np.random.default_rng(0).normal(size=(10, 3))
    y = np.array([0, 1] * 5)
    expected = np.mean([roc_auc_score(y == k, scores[:, k]) for k in (0, 1)])
    assert abs(macro_auc(scores, y) - expected) < 1e-12
    assert np.isnan(macro_auc(scores, np.zeros(10, int)))


def test_the_higher_auc_wins_and_of_equal_ones_the_lower_log_loss() -> None:
    y = torch.tensor([0, 1])
    wrong, right, surer = (torch.tensor([[a, -a], [-a, a]]) for a in (-1.0, 1.0, 3.0))
    assert best(torch.stack([wrong, right]), y) == 1
    assert best(torch.stack([right, surer, wrong]), y) == 1
    assert best(torch.stack([surer, surer]), y) == 0


def test_log_probabilities_are_ranked_and_a_shift_of_all_classes_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, y = torch.randn(5, 12, 3, generator=generator), torch.arange(3).repeat(4)
    shifted = scores + 100 * torch.randn(5, 12, 1, generator=generator)
    assert best(scores, y) == best(shifted, y)
