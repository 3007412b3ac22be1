"""The projection of image embeddings into the space of class texts, learnt for several draws at once.

Gradients of a function of cosines with the texts lie in the span of the texts, and, from zero, so does the projection.
It is learnt in these few coordinates, which is the same and costs K in the place of all dimensions of the text.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from embedkit.text.aligning.losses import LOSSES
from embedkit.text.fewshot.course import Course
from embedkit.text.span import back, span, within

STEPS = 300
LOOK_EVERY = 10
PATIENCE = 100
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3)
RATE = 0.5
SCALE = 10.0
MOST = 100.0
"""CLIP clips its logit scale there too."""
# A gradient of this length is rounding: where all images are still alike, that of the textual loss in b is 0.
_NOISE = 1e-5


@dataclass(frozen=True)
class Projection:
    """What turns image vectors into vectors of the text space, for B draws: ``normalize((x A.T + b) basis)``.

    Attributes:
        A: (B, r, d). b: (B, r). basis: (r, t), orthonormal rows in the text space. scale: (B,), of the cosines.
        chosen: of each draw, the penalty and the step that the validation images chose.
    """

    A: Tensor
    b: Tensor
    basis: Tensor
    scale: Tensor
    chosen: list[dict[str, float]]

    def __call__(self, X: Tensor) -> Tensor:
        """Return unit vectors in the text space, (B, n, t), of image vectors (B, n, d)."""
        return normalize(X @ self.A.mT + self.b[:, None], dim=-1) @ self.basis


def fit(
    X: Tensor, y: Tensor, X_val: Tensor, y_val: Tensor, W: Tensor, loss: str = "cross-entropy", steps: int = STEPS
) -> Projection:
    """Learn the projection and the temperature by gradient steps; step and penalty are picked on validation images.

    Args:
        X: (B, n, d), of about unit length, centred. y: (B, n), classes, rows of W. X_val, y_val: to choose on.
        W: (K, t), unit vectors. loss: a name of `LOSSES`. steps: at most; fewer where no draw
            has become better for 100.
    """
    B, P = len(X), len(PENALTIES)
    directions = span(X)
    F, F_val = within(directions, X), within(directions, X_val)
    basis, texts = _basis(W)
    labels = one_hot(y, len(W)).to(X.dtype)
    # Every penalty is one more draw.
    repeat = torch.arange(B).repeat_interleave(P)
    penalty = torch.tensor(PENALTIES, dtype=X.dtype).repeat(B)
    A = torch.zeros(B * P, len(basis), F.shape[2], dtype=X.dtype, requires_grad=True)
    b = texts.mean(dim=0).repeat(B * P, 1).requires_grad_()
    log_scale = torch.full((B * P,), SCALE, dtype=X.dtype).log().requires_grad_()
    descent = _Descent([A, b, log_scale], steps)
    course = Course(y_val[repeat])

    def logits(images: Tensor) -> Tensor:
        # All penalties of a draw in one product.
        turned = (images @ A.view(B, -1, A.shape[2]).mT).view(B, -1, P, A.shape[1]).transpose(1, 2).flatten(0, 1)
        cosines = normalize(turned + b[:, None], dim=-1) @ texts.T
        return log_scale.exp().clamp(max=MOST)[:, None, None] * cosines

    for number in range(steps + 1):
        # Before the first step all images are alike, and so is every class.
        if number and number % LOOK_EVERY == 0:
            course.keep(number, lambda: logits(F_val), [A, b, log_scale])
            if number - max(course.epochs) > PATIENCE:
                break
        found = LOSSES[loss](logits(F), labels[repeat]) + penalty * A.square().sum(dim=(1, 2))
        descent.step(found.sum())
    picked = course.best_of(P)
    A, b, log_scale = (one[picked] for one in course.kept)
    return Projection(
        back(directions, A),
        b,
        basis,
        log_scale.exp().clamp(max=MOST),
        [{"penalty": PENALTIES[i % P], "step": course.epochs[i]} for i in picked],
    )


def _basis(W: Tensor) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis of what the texts span, (r, t), and the texts in it, (K, r)."""
    _, values, V = torch.linalg.svd(W, full_matrices=False)
    basis = V[values > values[0] * 1e-5]
    return basis, W @ basis.T


class _Descent:
    """Adam with one second moment per problem and tensor, so that a rotation of the coordinates changes nothing."""

    def __init__(self, parameters: list[Tensor], steps: int) -> None:
        self.parameters, self.steps, self.done = parameters, steps, 0
        self.first = [torch.zeros_like(one) for one in parameters]
        self.second = [torch.zeros(len(one), dtype=one.dtype) for one in parameters]

    def step(self, loss: Tensor) -> None:
        rate = RATE * (1 - self.done / (self.steps + 1))
        self.done += 1
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            for one, gradient, first, second in zip(self.parameters, gradients, self.first, self.second, strict=True):
                first.lerp_(gradient, 0.1)
                second.lerp_(gradient.flatten(1).square().sum(dim=1) if gradient.ndim > 1 else gradient.square(), 0.01)
                size = (second / (1 - 0.99**self.done)).sqrt().clamp(min=_NOISE)
                share = first / (1 - 0.9**self.done) / size.view(-1, *[1] * (one.ndim - 1))
                one.sub_(share, alpha=rate if one.ndim == 3 else 0.1 * rate)
