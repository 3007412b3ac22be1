"""From rows of a plan to the vectors that the methods work on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from embedkit.probing.plan import Plan
from embedkit.probing.sample import Sample
from embedkit.text.aligning import projection
from embedkit.text.fewshot.draws import Draw
from embedkit.text.fewshot.shots import Part, Shots

# Without a text there is no scale of the cosines: that of a CLIP.
NO_TEXT_SCALE = 100.0


def stack(plan: Plan, draws: Sequence[Draw]) -> tuple[Part, Part, Part]:
    """Return the training, validation and judged images of draws of one size, as unit vectors."""

    def part(sample: Sample, rows: Sequence[np.ndarray]) -> Part:
        picked = np.stack(list(rows))
        F = normalize(torch.from_numpy(sample.vectors(picked)), dim=-1)
        return Part(F, F, torch.from_numpy(sample.labels.truth[picked].argmax(axis=-1)))

    return (
        part(plan.train, [one.train for one in draws]),
        part(plan.train, [one.val for one in draws]),
        part(plan.test, [one.test for one in draws]),
    )


def in_one_space(plan: Plan, draws: Sequence[Draw], W: Tensor, scale: float) -> Shots:
    """Return the shots of an image tower with the texts of its own text tower."""
    return Shots(*stack(plan, draws), W, torch.full((len(draws),), scale))


def without_text(plan: Plan, draws: Sequence[Draw]) -> Shots:
    """Return centred shots for the methods that read no text."""
    train, val, test = centred(*stack(plan, draws))
    W = torch.zeros(len(plan.train.labels.classes), 1)
    return Shots(train, val, test, W, torch.full((len(draws),), NO_TEXT_SCALE))


def aligned(plan: Plan, draws: Sequence[Draw], W: Tensor, loss: str) -> Shots:
    """Return centred shots with a projection to the texts that is learnt from the shots of each draw alone."""
    train, val, test = centred(*stack(plan, draws))
    found = projection.fit(train.F, train.y, val.F, val.y, W, loss)
    train, val, test = (replace(part, Z=found(part.F)) for part in (train, val, test))
    return Shots(train, val, test, W, found.scale)


def centred(train: Part, val: Part, test: Part) -> tuple[Part, Part, Part]:
    """Return images less the mean of the training shots, at unit length again.

    Embeddings of an encoder that was not trained by cosines point into a narrow cone, in which all cosines are high;
    what tells images apart is what is left without their common part.
    """
    mean = train.F.mean(dim=1, keepdim=True)

    def less(part: Part) -> Part:
        F = normalize(part.F - mean, dim=-1)
        return Part(F, F, part.y)

    return less(train), less(val), less(test)
