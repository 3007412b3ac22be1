"""What a training minimises, how fast, and the scores it gives."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def schedule(step: int, steps: int, epochs: int) -> float:
    """Return the share of the highest learning rate at a step: rising over the first epoch, then a cosine to 0.

    Args:
        step: from 0. steps: of an epoch. epochs: in all; where there is one only, half of it is the rise.
    """
    rise = steps if epochs > 1 else max(1, steps // 2)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps * epochs - rise)))


def mean_loss(logits: "Tensor", truth: np.ndarray, exclusive: bool, weights: np.ndarray | None) -> "Tensor":
    """Return the mean cross-entropy, of labels over those that are judged.

    Args:
        logits: (n, K). truth: (n, K) of 1, 0 or NaN (not judged). exclusive: classes, not labels.
        weights: (n,), of labels (n, K), what each counts; None where all count 1.
    """
    import torch
    from torch.nn import functional

    known = ~np.isnan(truth)
    wanted = torch.from_numpy(np.where(known, truth, 0).astype(np.float32)).to(logits.device)
    each = np.ones(truth.shape[: 1 if exclusive else 2]) if weights is None else weights
    counted = torch.from_numpy((each if exclusive else each * known).astype(np.float32)).to(logits.device)
    if exclusive:
        entropy = -(functional.log_softmax(logits, dim=1) * wanted).sum(dim=1)
    else:
        entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (entropy * counted).sum() / max(1, int(known.any(axis=1).sum() if exclusive else known.sum()))


def to_scores(logits: "Tensor", exclusive: bool) -> np.ndarray:
    """Return logits (n, K) as scores in the form of `embedkit.probing`.

    Of two classes -s and s, of more log-probabilities (logits are fixed only up to a constant of each image, so they
    order no images), of labels the logits.
    """
    import torch

    if not exclusive:
        return np.asarray(logits.double().numpy())
    if logits.shape[1] == 2:
        margin = (logits[:, 1] - logits[:, 0]).double()
        return np.asarray(torch.stack([-margin, margin], dim=1).numpy())
    return np.asarray(logits.double().log_softmax(dim=1).numpy())
