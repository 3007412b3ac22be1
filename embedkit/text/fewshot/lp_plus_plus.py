"""LP++: a linear probe whose class weights are blended with the class texts.

Source: Huang et al., LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP, CVPR 2024. It differs from the
public code in three points: w sees the embeddings less their mean over the shots, which is an intercept; both blocks
take plain steps of the length that the bound of the Hessian allows, without momentum, so that the loss never rises;
and alpha starts at the logit scale, which is zero-shot.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from embedkit.text.fewshot.course import Course
from embedkit.text.fewshot.shots import Fitted, Shots, class_means
from embedkit.text.span import span, within

# Iterations after which the validation shots are looked at.
STOPS = (0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500)


@dataclass(frozen=True)
class Blocks:
    """The two blocks of unknowns of B draws.

    Attributes:
        w: (B, K, d). alpha: (B, K).
    """

    w: Tensor
    alpha: Tensor


def logits(F: Tensor, cosines: Tensor, at: Blocks) -> Tensor:
    """Return ``f.w_c + alpha_c f.t_c``, (B, n, K).

    Args:
        F: (B, n, d). cosines: (B, n, K), f.t_c.
    """
    return F @ at.w.mT + at.alpha[:, None] * cosines


def step_sizes(F: Tensor, cosines: Tensor) -> tuple[Tensor, Tensor]:
    """Return the longest steps of w and of alpha under which the mean log loss can't rise, (B,) each.

    The Hessian of a log loss in its logits has no eigenvalue above 1/2 (Boehning 1992), so that of w has none above
    ``lambda_max(F.T F) / 2n`` and that of alpha none above ``max_c sum_i cosines_ic^2 / 2n``.
    """
    n, d = F.shape[1:]
    gram = F @ F.mT if n < d else F.mT @ F
    largest = torch.linalg.eigvalsh(gram)[:, -1]
    return 2 * n / largest, 2 * n / cosines.square().sum(dim=1).amax(dim=1)


def step(F: Tensor, cosines: Tensor, labels: Tensor, at: Blocks, sizes: tuple[Tensor, Tensor]) -> Blocks:
    """Go down in w, then in alpha.

    Args:
        F: (B, n, d). cosines, labels: (B, n, K). sizes: (B,) each, from `step_sizes`.
    """
    n = F.shape[1]
    wrong = torch.softmax(logits(F, cosines, at), dim=-1) - labels
    at = Blocks(at.w - sizes[0][:, None, None] / n * (wrong.mT @ F), at.alpha)
    wrong = torch.softmax(logits(F, cosines, at), dim=-1) - labels
    return Blocks(at.w, at.alpha - sizes[1][:, None] / n * (wrong * cosines).sum(dim=1))


def lp_plus_plus(shots: Shots) -> Fitted:
    """Start at the texts and the class means and go down; the number of steps is picked on the validation shots."""
    mean = shots.train.F.mean(dim=1, keepdim=True)
    # w never leaves the span of the shots, so it is sought there.
    basis = span(shots.train.F - mean)
    F, F_val, F_test = (within(basis, part.F - mean) for part in (shots.train, shots.val, shots.test))
    cosines, of_val = shots.cosines(shots.train), shots.cosines(shots.val)
    labels = one_hot(shots.train.y, shots.classes).to(F.dtype)
    sizes = step_sizes(F, cosines)
    at = Blocks(class_means(F, labels), shots.scale[:, None].expand(-1, shots.classes).clone())
    course = Course(shots.val.y)
    for iteration in range(STOPS[-1] + 1):
        if iteration in STOPS:
            known = logits(F_val, of_val, at)
            course.keep(iteration, lambda known=known: known, [at.w, at.alpha])  # type: ignore[misc]
        at = step(F, cosines, labels, at, sizes)
    best = Blocks(*course.kept)
    scores = logits(F_test, shots.cosines(shots.test), best)
    chosen = [
        {"iterations": epoch, "alpha": alpha.mean().item()}
        for epoch, alpha in zip(course.epochs, best.alpha, strict=True)
    ]
    return Fitted(scores, chosen)
