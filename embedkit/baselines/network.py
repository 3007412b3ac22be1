"""The network that is trained: an architecture of timm with a new classifier, from random or from local weights."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.encoders import EncoderCard, Preprocessing, catalog, resolve
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import nn


def card_of(arch: str) -> EncoderCard:
    """Return the card of an architecture.

    Args:
        arch: a name of timm, with or without ``timm:``, or of a catalog encoder that timm builds.

    Raises:
        EmbedkitError: an unknown name, with the closest ones; an encoder of another library.
    """
    card = resolve(arch if arch in catalog() or ":" in arch else f"timm:{arch}")
    if card.backend != "timm":
        raise EmbedkitError(
            f"{arch} is built by {card.backend}, and only networks of timm are trained: choose resnet18"
        )
    return card


def whole_image(card: EncoderCard, size: int) -> Preprocessing:
    """Return the preprocessing: all of the image squashed into a square, so that nothing at its border is lost."""
    return replace(card.preprocessing, size=size, resize=size, resize_mode="squash", width=None)


def build(card: EncoderCard, classes: int, weights: Path | None, size: int, seed: int) -> "nn.Module":
    """Return a network with ``classes`` outputs; what is random in it depends on the seed alone.

    Raises:
        EmbedkitError: the weights can't be read safely or don't fit; the architecture can't take this size.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = _pretrained(card, classes, weights, size) if weights else _random(card, classes, size)
        except (AssertionError, ValueError, RuntimeError) as error:
            raise EmbedkitError(f"{card.name} can't be built for images of {size} px ({error})") from error
    return network


def _random(card: EncoderCard, classes: int, size: int) -> "nn.Module":
    import timm

    from embedkit.encoders.backends.timm import PATCHES

    known: Any = timm.get_pretrained_cfg(card.architecture)
    image: dict[str, Any] = {"img_size": size} if known.fixed_input_size and known.input_size[-1] != size else {}
    network: nn.Module = timm.create_model(card.architecture, pretrained=False, num_classes=classes, **image)
    if card.patch:
        PATCHES[card.patch](network)
    return network


def _pretrained(card: EncoderCard, classes: int, weights: Path, size: int) -> "nn.Module":
    from embedkit.encoders.backends import timm

    network: Any = timm.build(replace(card, preprocessing=whole_image(card, size)), weights)
    network.reset_classifier(classes)
    trained: nn.Module = network
    return trained
