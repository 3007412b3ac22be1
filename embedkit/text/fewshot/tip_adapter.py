"""Tip-Adapter: the texts, and a cache of the shots that votes for their classes.

Source: Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from embedkit.text.fewshot import choice
from embedkit.text.fewshot.shots import Fitted, Part, Shots

# The published defaults.
ALPHA, BETA = 1.17, 1.0
ALPHAS = (0.0, *np.geomspace(0.1, 1000, 21).tolist())
BETAS = tuple(np.geomspace(0.3, 100, 14).tolist())
# Images whose affinities with all keys are held at once.
_ROWS = 1024


def votes(affinity: Tensor, labels: Tensor, beta: float | Tensor) -> Tensor:
    """Return exp(-beta (1 - affinity)) V, (..., m, K).

    Args:
        affinity: (..., m, n), cosines of images with the cached shots. labels: V, (..., n, K) of 1 and 0.
        beta: how sharply a shot votes for what is like it.
    """
    return torch.exp(-beta * (1 - affinity)) @ labels


def tip_adapter(shots: Shots) -> Fitted:
    """Return ``scale f.W + alpha exp(-beta (1 - f.K)) V``, alpha and beta chosen on the validation shots."""
    return searched(shots, shots.train.F)


def searched(shots: Shots, keys: Tensor) -> Fitted:
    """Choose alpha and beta for these keys (B, n, d) on the validation shots, and score the judged images."""
    labels, alphas = shots.labels, torch.tensor(ALPHAS, dtype=keys.dtype)
    cached = _votes_at(shots.val.F, keys, labels, BETAS)
    text = shots.zero_shot(shots.val)
    picked = []
    for b, y in enumerate(shots.val.y):
        grid = text[b] + alphas[:, None, None, None] * cached[:, b]
        picked.append(divmod(choice.best(grid.flatten(0, 1), y), len(BETAS)))
    alpha = torch.tensor([ALPHAS[a] for a, _ in picked], dtype=keys.dtype)[:, None, None]
    beta = torch.tensor([BETAS[b] for _, b in picked], dtype=keys.dtype)[:, None, None]
    scores = logits(shots, shots.test, keys, labels, alpha, beta)
    return Fitted(scores, [{"alpha": ALPHAS[a], "beta": BETAS[b]} for a, b in picked])


def logits(
    shots: Shots, part: Part, keys: Tensor, labels: Tensor, alpha: float | Tensor, beta: float | Tensor
) -> Tensor:
    """Return the logits of the images of a part, (B, m, K)."""
    return shots.zero_shot(part) + alpha * _votes_at(part.F, keys, labels, [beta])[0]


def _votes_at(F: Tensor, keys: Tensor, labels: Tensor, betas: Sequence[float | Tensor]) -> Tensor:
    """Return the votes at several betas, (G, B, m, K)."""
    parts = []
    for some in torch.split(F, _ROWS, dim=1):
        affinity = some @ keys.mT
        parts.append(torch.stack([votes(affinity, labels, beta) for beta in betas]))
    return torch.cat(parts, dim=2)
