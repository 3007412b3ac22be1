"""What every few-shot method is given: several draws of the same size at once, and the texts of the classes."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import one_hot


@dataclass(frozen=True)
class Part:
    """Images of B draws, all vectors of unit length.

    Attributes:
        F: (B, n, d), by which images are compared with images.
        Z: (B, n, t), the same images where texts are; F itself where the image tower has a text tower.
        y: (B, n) of int64, the class.
    """

    F: Tensor
    Z: Tensor
    y: Tensor


@dataclass(frozen=True)
class Shots:
    """B draws with equally many images each, so that all of them share every matrix product.

    Attributes:
        train: what is learnt from. val: what everything is tuned on, of other groups. test: what is judged; its y is
            never read by a method.
        W: (K, t), the unit embedding of each class's text. scale: (B,), what cosines of images and texts are
            multiplied by.
    """

    train: Part
    val: Part
    test: Part
    W: Tensor
    scale: Tensor

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.W)

    @property
    def labels(self) -> Tensor:
        """The classes of the training shots, (B, n, K) of 1 and 0."""
        return one_hot(self.train.y, self.classes).to(self.train.F.dtype)

    def cosines(self, part: Part) -> Tensor:
        """Return the cosine of each image with each class's text, (B, n, K)."""
        return part.Z @ self.W.T

    def zero_shot(self, part: Part) -> Tensor:
        """Return the logits of the texts alone, (B, n, K)."""
        return self.scale[:, None, None] * self.cosines(part)


@dataclass(frozen=True)
class Fitted:
    """What a method made of some draws.

    Attributes:
        scores: (B, T, K) of the judged images.
        chosen: of each draw, what was chosen on its validation shots.
    """

    scores: Tensor
    chosen: list[dict[str, Any]]


def class_means(F: Tensor, labels: Tensor) -> Tensor:
    """Return the mean vector of each class, (B, K, d); of a class without images it is 0.

    Args:
        F: (B, n, d). labels: (B, n, K) of 1 and 0.
    """
    count = labels.sum(dim=1).clamp(min=1)
    return labels.mT @ F / count[:, :, None]
