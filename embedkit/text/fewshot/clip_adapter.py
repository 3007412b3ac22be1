"""CLIP-Adapter: a bottleneck network whose output is blended with the image embedding.

Source: Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from embedkit.text.fewshot.course import Course
from embedkit.text.fewshot.shots import Fitted, Shots

EPOCHS = 30
LEARNING_RATE = 1e-3
REDUCTION = 4
BLEND = 0.5


def adapted(Z: Tensor, down: Tensor, up: Tensor, blend: float = BLEND) -> Tensor:
    """Return ``blend relu(relu(Z down) up) + (1 - blend) Z`` at unit length, (B, n, t).

    Args:
        Z: (B, n, t). down: (B, t, t / 4). up: (B, t / 4, t). blend: 0 leaves the embedding as it is.
    """
    return normalize(blend * relu(relu(Z @ down) @ up) + (1 - blend) * Z, dim=-1)


def clip_adapter(shots: Shots, seed: int = 0) -> Fitted:
    """Train the two matrices of each draw with AdamW; the epoch is picked on the validation shots."""
    B, _n, t = shots.train.Z.shape
    narrow = max(1, t // REDUCTION)
    down, up = (_start(B, *shape, seed) for shape in ((t, narrow), (narrow, t)))
    optimizer = torch.optim.AdamW([down, up], LEARNING_RATE)
    course = Course(shots.val.y)

    def logits(Z: Tensor, down: Tensor, up: Tensor) -> Tensor:
        return shots.scale[:, None, None] * (adapted(Z, down, up) @ shots.W.T)

    course.train(
        optimizer,
        shots.train.y,
        EPOCHS,
        seed,
        lambda rows: logits(shots.train.Z[:, rows], down, up),
        lambda: logits(shots.val.Z, down, up),
    )
    scores = logits(shots.test.Z, *course.kept)
    return Fitted(scores, [{"epoch": epoch} for epoch in course.epochs])


def _start(draws: int, rows: int, columns: int, seed: int) -> Tensor:
    """Return one random matrix for all draws, (B, rows, columns), as torch starts a linear layer."""
    bound = rows**-0.5
    start = torch.empty(rows, columns).uniform_(-bound, bound, generator=torch.Generator().manual_seed(seed))
    return start.repeat(draws, 1, 1).requires_grad_()
