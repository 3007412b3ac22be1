"""Put a file's tensors into a model, all of them or none, and say what the file is if they do not fit."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import Tensor, nn

# The start of a tensor's name gives the family away; the first that matches names it.
FAMILIES = (
    ("visual.", "a CLIP with both towers, as open_clip saves it"),
    ("image_encoder.", "a MobileCLIP as Apple publishes it"),
    ("vision_model.", "a CLIP as transformers saves it"),
    ("layer1.0.conv1.", "a ResNet"),
    ("features.denseblock1.", "a DenseNet"),
    ("encoder.layers.encoder_layer_0.", "a vision transformer of torchvision"),
    ("blocks.0.attn.qkv.", "a vision transformer of timm"),
    ("conv_stem.", "an EfficientNet or MobileNet of timm"),
    ("_conv_stem.", "an EfficientNet of efficientnet_pytorch"),
    ("layers.0.blocks.0.attn.", "a Swin transformer of timm"),
    ("stages.0.", "a ConvNeXt or a relative of it, of timm"),
    ("features.0.", "a model of torchvision"),
)


def load_strictly(model: "nn.Module", state: "dict[str, Tensor]", name: str, path: Path) -> None:
    """Load every tensor of ``state`` into ``model``.

    Raises:
        EmbedkitError: a tensor is missing, surplus or has another shape.
    """
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise misfit(name, path, state, str(error)) from error


def misfit(name: str, path: Path, state: "dict[str, Tensor]", reason: str) -> EmbedkitError:
    """Return the error for a file that does not fit.

    Args:
        name: of the encoder.
        path: of the weights.
        state: the tensors in the file.
        reason: torch's message, which lists the names; of another message nothing is said to the user.
    """
    listed = {
        "missing": re.findall(r'"([^"]+)"', "".join(re.findall(r"Missing key\(s\)[^:]*:(.*)", reason))),
        "not expected": re.findall(r'"([^"]+)"', "".join(re.findall(r"Unexpected key\(s\)[^:]*:(.*)", reason))),
        "of another shape": re.findall(r"size mismatch for ([^:]+):", reason),
    }
    parts = [f"{len(names)} tensors {what}, e.g. {names[0]}" for what, names in listed.items() if names]
    what = "; ".join(parts) or "its tensors are those of another model"
    return EmbedkitError(
        f"the file {path} does not fit {name}: {what}. {seems(state)} "
        f"Give the file of {name}, or the model that the file belongs to."
    )


def seems(state: "dict[str, Tensor]") -> str:
    """Return a sentence that says what a file seems to hold, from the names of its tensors."""
    family = next((what for start, what in FAMILIES if any(key.startswith(start) for key in state)), "")
    millions = sum(value.numel() for value in state.values()) / 1e6
    size = f"{len(state)} tensors with {millions:.1f} million numbers"
    return f"It seems to be {family}: {size}." if family else f"It holds {size}, the first is '{next(iter(state))}'."
