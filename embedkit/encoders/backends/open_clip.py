"""Image towers of open_clip, ending after the projection into the space shared with text."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from embedkit.encoders import checkpoint
from embedkit.encoders.card import EncoderCard
from embedkit.encoders.fit import Misfit, load_strictly, misfit, seems
from embedkit.encoders.keys import RENAMINGS

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "visual."


def build(card: EncoderCard, path: Path) -> "nn.Module":
    """Return the image tower with the weights of an open_clip checkpoint; its text tower is not built.

    Raises:
        EmbedkitError: the file cannot be read safely, or does not fit.
    """
    return assemble(card, checkpoint.load(path), path)


def assemble(card: EncoderCard, state: "dict[str, Tensor]", path: Path) -> "nn.Module":
    """Return the image tower with these tensors, which ``path`` names in messages."""
    if card.keys:
        state = RENAMINGS[card.keys](state)
    tower = empty(card)
    if hasattr(tower, "trunk"):
        state = _convert(tower, state, card, path)
    body = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    if not body:
        raise Misfit(
            f"the file {path} does not fit {card.name}: it has no image tower of open_clip "
            f"(tensors named {PREFIX}…). {seems(state)}"
        )
    load_strictly(tower, body, card.name, path)
    return tower


def empty(card: EncoderCard) -> "nn.Module":
    """Return the image tower with random weights."""
    return image_tower(card.architecture, card.vision)


def image_tower(architecture: str, vision: Mapping[str, Any] | None) -> "nn.Module":
    """Return the image tower with random weights.

    Args:
        architecture: a model that open_clip ships the configuration of.
        vision: the configuration itself where open_clip does not ship it: ``embed_dim``, ``quick_gelu`` and the
            fields of its ``vision_cfg``.
    """
    import open_clip
    from open_clip.model import _build_vision_tower

    if vision is not None:
        settings = dict(vision)
        shared: dict[str, Any] = {name: settings.pop(name) for name in ("embed_dim", "quick_gelu") if name in settings}
        config = {**shared, "vision_cfg": settings}
    else:
        config = open_clip.get_model_config(architecture)
    # The whole model would be built through open_clip.create_model, but then a text tower of transformers needs
    # that library and its hub; tests compare the two.
    tower: nn.Module = _build_vision_tower(config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False))
    return tower


def _convert(tower: "nn.Module", state: "dict[str, Tensor]", card: EncoderCard, path: Path) -> "dict[str, Tensor]":
    """Turn the names of Apple's own MobileCLIP files into open_clip's; other files are left as they are."""
    from open_clip.convert import convert_state_dict

    try:
        # Of the whole model that the converter asks for it uses only the image tower.
        converted: dict[str, Tensor] = convert_state_dict(SimpleNamespace(visual=tower), state)
    except (RuntimeError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise misfit(card.name, path, state, str(error)) from error
    return converted
