"""The losses of an alignment against pairs of images and captions, one by one."""

import math

import torch
from torch.nn.functional import cross_entropy as reference
from torch.nn.functional import one_hot

from embedkit.text.aligning.losses import contrastive, cross_entropy, textual

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 4, generator=GENERATOR, dtype=torch.float64)
Y = torch.tensor([0, 0, 0, 1, 1, 3, 3])
LABELS = one_hot(Y, 4).double()


def test_cross_entropy_is_that_of_torch() -> None:
    assert torch.isclose(cross_entropy(LOGITS, LABELS), reference(LOGITS, Y))


def test_textual_takes_all_images_of_a_class_as_positives_of_its_text() -> None:
    expected = []
    for k in (0, 1, 3):
        total = sum(math.exp(LOGITS[j, k]) for j in range(7))
        own = [-math.log(math.exp(LOGITS[i, k]) / total) for i in range(7) if Y[i] == k]
        expected.append(sum(own) / len(own))
    assert math.isclose(textual(LOGITS, LABELS).item(), sum(expected) / 3)


def test_contrastive_is_the_sum_over_all_pairs_of_an_image_and_a_caption() -> None:
    S = LOGITS[:, Y]  # image i with the caption of image j
    rows = cols = 0.0
    for i in range(7):
        same = [j for j in range(7) if Y[j] == Y[i]]
        of_row, of_col = (sum(math.exp(s) for s in line) for line in (S[i].tolist(), S[:, i].tolist()))
        rows -= sum(math.log(math.exp(S[i, j]) / of_row) for j in same) / len(same)
        cols -= sum(math.log(math.exp(S[j, i]) / of_col) for j in same) / len(same)
    assert math.isclose(contrastive(LOGITS, LABELS).item(), (rows + cols) / 2 / 7, rel_tol=1e-9)


def test_several_problems_at_once() -> None:
    for loss in (cross_entropy, textual, contrastive):
        both = loss(torch.stack([LOGITS, 2 * LOGITS]), LABELS.expand(2, -1, -1))
        assert torch.allclose(both, torch.stack([loss(LOGITS, LABELS), loss(2 * LOGITS, LABELS)]))
