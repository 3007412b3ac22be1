"""Models of torchvision, without the last layer of their classifier."""

from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.encoders import checkpoint
from embedkit.encoders.card import EncoderCard
from embedkit.encoders.fit import load_strictly

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(card: EncoderCard, path: Path) -> "nn.Module":
    """Return the model with the weights of a file, ending in what its last linear layer would see.

    Raises:
        EmbedkitError: the file cannot be read safely, or does not fit.
    """
    return assemble(card, checkpoint.load(path), path)


def assemble(card: EncoderCard, state: "dict[str, Tensor]", path: Path) -> "nn.Module":
    """Return the model with these tensors, which ``path`` names in messages."""
    model, head = headless(card.architecture)
    body = {name: value for name, value in state.items() if not name.startswith(f"{head}.")}
    load_strictly(model, body, card.name, path)
    return model


def empty(card: EncoderCard) -> "nn.Module":
    """Return the model with random weights, ending in what its last linear layer would see."""
    return headless(card.architecture)[0]


def headless(architecture: str) -> "tuple[nn.Module, str]":
    """Return a model with random weights whose last linear layer is replaced by nothing, and that layer's name."""
    from torch import nn
    from torchvision.models import get_model

    model: nn.Module = get_model(architecture, weights=None)
    head = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    model.set_submodule(head, nn.Identity())
    return model, head
