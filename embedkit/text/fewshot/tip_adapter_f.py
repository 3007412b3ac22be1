"""Tip-Adapter-F: Tip-Adapter whose keys are trained. Source: as `embedkit.text.fewshot.tip_adapter`."""

import torch
from torch import Tensor

from embedkit.text.fewshot.course import Course
from embedkit.text.fewshot.shots import Fitted, Shots
from embedkit.text.fewshot.tip_adapter import ALPHA, BETA, logits, searched, votes

EPOCHS = 20
LEARNING_RATE = 1e-3


def tip_adapter_f(shots: Shots, seed: int = 0) -> Fitted:
    """Train the keys from the shots (AdamW, cosine schedule) at the default alpha and beta; then choose these.

    The epoch is picked on the validation shots, 0 (the keys as they are) among them. The public code picks it on the
    test images.
    """
    labels = shots.labels
    keys = shots.train.F.clone().requires_grad_()
    optimizer = torch.optim.AdamW([keys], LEARNING_RATE, eps=1e-4)
    course = Course(shots.val.y)
    text = shots.zero_shot(shots.train)

    def of_rows(rows: Tensor) -> Tensor:
        return text[:, rows] + ALPHA * votes(shots.train.F[:, rows] @ keys.mT, labels, BETA)

    def known() -> Tensor:
        return logits(shots, shots.val, keys, labels, ALPHA, BETA)

    course.keep(0, known, [keys])
    course.train(optimizer, shots.train.y, EPOCHS, seed, of_rows, known)
    fitted = searched(shots, course.kept[0])
    return Fitted(fitted.scores, [{"epoch": e, **one} for e, one in zip(course.epochs, fitted.chosen, strict=True)])
