"""Tip-Adapter-F: Tip-Adapter whose keys are trained. Source: as `embedkit.text.fewshot.tip_adapter`."""

from typing import Any

import torch
from torch import Tensor

from embedkit.text.fewshot.course import Course
from embedkit.text.fewshot.shots import Fitted, Shots
from embedkit.text.fewshot.tip_adapter import ALPHA, BETA, logits, searched

EPOCHS = 20
LEARNING_RATE = 1e-3
PATIENCE = 5


def tip_adapter_f(shots: Shots, seed: int = 0) -> Fitted:
    """Train the keys from the shots (AdamW, cosine schedule) at the default alpha and beta; then choose these.

    The epoch is picked on the validation shots, 0 (the keys as they are) among them, and none follows after five that
    were no better. The public code picks it on the test images.
    """
    labels = shots.labels
    keys = shots.train.F.clone().requires_grad_()
    # One pass over the keys in the place of a dozen.
    optimizer = torch.optim.AdamW([keys], LEARNING_RATE, eps=1e-4, fused=True)
    course = Course(shots.val.y, PATIENCE)
    text = shots.zero_shot(shots.train)

    def of_rows(rows: Tensor) -> Tensor:
        found: Tensor = _Votes.apply(shots.train.F[:, rows], keys, labels)
        return text[:, rows] + ALPHA * found

    def known() -> Tensor:
        return logits(shots, shots.val, keys, labels, ALPHA, BETA)

    course.keep(0, known, [keys])
    course.train(optimizer, shots.train.y, EPOCHS, seed, of_rows, known)
    fitted = searched(shots, course.kept[0])
    return Fitted(fitted.scores, [{"epoch": e, **one} for e, one in zip(course.epochs, fitted.chosen, strict=True)])


def operations(keys: int, width: int) -> float:
    """Return how many operations the training of a draw takes at most: they grow with the keys squared."""
    return 4.0 * EPOCHS * keys * keys * width


class _Votes(torch.autograd.Function):
    """`tip_adapter.votes` at beta 1; the gradient of the keys is two products, written in the order of the keys."""

    @staticmethod
    def forward(ctx: Any, F: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        weights = (keys @ F.mT).sub_(1).mul_(BETA).exp_()
        ctx.save_for_backward(F, labels, weights)
        return (labels.mT @ weights).mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        F, labels, weights = ctx.saved_tensors
        return None, (labels @ gradient.mT).mul_(weights).mul_(BETA) @ F, None
