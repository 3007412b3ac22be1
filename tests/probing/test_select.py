"""The best value of a parameter by macro AUC, and the smallest of equals."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from embedkit.probing.measures.metrics import Judged
from embedkit.probing.select import Choice, best, default

GRID = (0.001, 0.1, 10.0)


def ranked(auc: float, shift: float = 0.0) -> Judged:
    """Ten negatives and ten positives, of which so many pairs are in order; ``shift`` moves the threshold only."""
    scores = np.r_[np.arange(10.0), np.full(10, 100.0)]
    lost = round((1 - auc) * 10)
    scores[10 : 10 + lost] = -1
    truth = np.r_[np.zeros(10), np.ones(10)]
    s = scores - 50 + shift
    return Judged(np.column_stack([1 - truth, truth]), np.column_stack([-s, s]), np.zeros(20, int), True)


def chosen(*aucs: float) -> Choice:
    return best("C", GRID, [ranked(auc) for auc in aucs], "val")[0]


def test_the_helper_ranks_as_it_says() -> None:
    judged = ranked(0.8)
    assert roc_auc_score(judged.truth[:, 1], judged.scores[:, 1]) == pytest.approx(0.8)


def test_ties_go_to_the_smallest_and_an_edge_is_told() -> None:
    choice, position = best("C", GRID, [ranked(0.8), ranked(0.9), ranked(0.9)], "val")
    assert (choice.parameter, choice.value, choice.by, position) == ("C", 0.1, "val", 1)
    assert choice.scores == pytest.approx((0.8, 0.9, 0.9))
    assert not choice.at_edge
    assert chosen(0.9, 0.9, 0.9).value == 0.001
    assert not chosen(0.9, 0.9, 0.9).at_edge
    assert chosen(0.9, 0.8, 0.7).at_edge
    assert chosen(0.7, 0.8, 0.9).value == 10
    assert chosen(0.7, 0.8, 0.9).at_edge


def test_of_equal_rankings_the_one_that_decides_best_is_taken() -> None:
    # Shifted far down, every image is called negative: the ranking is the same, the decisions are not.
    assert best("C", GRID, [ranked(0.9, -1000), ranked(0.9), ranked(0.9)], "val")[0].value == 0.1
    assert best("C", GRID, [ranked(1.0, -1000), ranked(0.9), ranked(0.9)], "val")[0].value == 0.001


def test_where_no_class_has_both_sides_the_default_is_taken_and_said() -> None:
    one_sided = Judged(np.eye(2)[[1, 1]], np.array([[-1.0, 1], [-2, 2]]), np.zeros(2, int), True)
    choice, position = best("C", GRID, [one_sided] * 3, "val")
    assert choice == default("C", GRID, "no class has both sides in the val")
    assert choice == Choice("C", 0.1, "default: no class has both sides in the val", (), at_edge=False)
    assert position == 1


def test_a_head_without_a_parameter_has_nothing_to_choose_and_no_edge() -> None:
    choice, position = best("", (0.0,), [ranked(0.9)], "val")
    assert (choice.value, choice.at_edge, position) == (0.0, False, 0)
