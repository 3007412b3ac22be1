"""Tip-Adapter-F: Tip-Adapter whose keys are trained. Source: as `embedkit.text.fewshot.tip_adapter`."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from embedkit.text.fewshot.course import Course, batches
from embedkit.text.fewshot.shots import Fitted, Shots
from embedkit.text.fewshot.tip_adapter import ALPHA, BETA, logits, searched

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
    order = list(batches(shots.train.y.shape[1], EPOCHS, seed))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
    course = Course(shots.val.y)

    def known() -> Tensor:
        return logits(shots, shots.val, keys, labels, ALPHA, BETA)

    text = shots.zero_shot(shots.train)
    course.keep(0, known, [keys])
    for epoch, last, rows in order:
        F, y = shots.train.F[:, rows], shots.train.y[:, rows]
        found = text[:, rows] + ALPHA * torch.exp(-BETA * (1 - F @ keys.mT)) @ labels
        # Summed over draws, so that no draw's step depends on another one.
        loss = cross_entropy(found.flatten(0, 1), y.flatten(), reduction="sum") / len(rows)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if last:
            course.keep(epoch, known, [keys])
    fitted = searched(shots, course.kept[0])
    return Fitted(fitted.scores, [{"epoch": e, **one} for e, one in zip(course.epochs, fitted.chosen, strict=True)])
