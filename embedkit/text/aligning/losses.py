"""What an alignment minimises: cosines of images with class texts, where images of one class share one text.

All take logits (..., n, K), scaled cosines of n images with K class texts, and the classes as one-hot (..., n, K), and
return the loss of each problem, (...).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from embedkit.errors import unknown_name


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log loss of each image's own text among all class texts.

    Source: Liver-VLM (arXiv 2505.03350).
    """
    return -(torch.log_softmax(logits, dim=-1) * labels).sum(dim=-1).mean(dim=-1)


def textual(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log loss of each text's own images among all images, averaged over the classes that have some.

    Every image of the class is a positive, and every class weighs alike.
    """
    count = labels.sum(dim=-2)
    found = -(torch.log_softmax(logits, dim=-2) * labels).sum(dim=-2) / count.clamp(min=1)
    return found.sum(dim=-1) / (count > 0).sum(dim=-1)


def contrastive(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the symmetric loss of n images and their n captions, the texts of their classes.

    All pairs of one class are positives (Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, the sum outside
    the logarithm). Captions of one class are equal, so that a text stands for as many captions as its class has images.
    """
    count = labels.sum(dim=-2, keepdim=True)
    share = count / labels.shape[-2]
    among_captions = torch.log_softmax(logits + count.clamp(min=1e-30).log(), dim=-1) - count.clamp(min=1).log()
    of_images = -(among_captions * labels).sum(dim=-1).mean(dim=-1)
    among_images = (torch.log_softmax(logits, dim=-2) * labels).sum(dim=-2) / count.squeeze(-2).clamp(min=1)
    of_captions = -(among_images * share.squeeze(-2)).sum(dim=-1)
    return (of_images + of_captions) / 2


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "textual": textual,
    "contrastive": contrastive,
}


def check_loss(name: str) -> None:
    """Raise EmbedkitError unless there is such a loss."""
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES, f"There are {', '.join(LOSSES)}.")
