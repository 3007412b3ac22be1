"""Put a file's tensors into a model, all of them or none, and say what the file is if they do not fit."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import Tensor, nn

# The start of a tensor's name gives the family away; the first that matches names it.
FAMILIES = (
    ("visual.", "a CLIP with both towers, as open_clip saves it"),
    ("vision_model.head.", "a SigLIP as transformers saves it"),
    ("vision_model.", "a CLIP as transformers saves it"),
    ("embeddings.patch_embeddings.projection.", "a DINOv2 or ViT as transformers saves it"),
    ("decoder_blocks.0.", "a masked autoencoder with its decoder, such as RETFound"),
    ("image_encoder._conv_stem.", "a Mammo-CLIP"),
    ("image_encoder.convs.0.", "a MedImageInsight"),
    ("image_encoder.", "a MobileCLIP as Apple publishes it"),
    ("encoder.blocks.0.attn.q_bias", "a context autoencoder, such as PanDerm"),
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


@dataclass(frozen=True)
class Differences:
    """How the tensors of a file differ from those of a model, by the model's names.

    Attributes:
        missing: in the file.
        surplus: in the file.
        misshapen: name, shape in the file and shape in the model.
    """

    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @classmethod
    def of_message(cls, reason: str, state: "dict[str, Tensor]") -> "Differences":
        """Read them from the message of ``load_state_dict``, which lists them all.

        It has the shapes of what timm has resampled for the model; those in the file are taken from ``state``.
        """
        sizes = re.findall(
            r"size mismatch for ([^:]+):.*?shape torch\.Size\(\[([\d, ]*)\]\).*?is torch\.Size\(\[([\d, ]*)\]\)", reason
        )
        return cls(
            missing=_quoted(reason, "Missing"),
            surplus=_quoted(reason, "Unexpected"),
            misshapen=tuple(
                (name, tuple(state[name].shape) if name in state else _numbers(found), _numbers(wanted))
                for name, found, wanted in sizes
            ),
        )

    @classmethod
    def between(cls, state: "dict[str, Tensor]", wanted: "dict[str, Tensor]") -> "Differences":
        """Compare name by name."""
        return cls(
            missing=tuple(name for name in wanted if name not in state),
            surplus=tuple(name for name in state if name not in wanted),
            misshapen=tuple(
                (name, tuple(state[name].shape), tuple(value.shape))
                for name, value in wanted.items()
                if name in state and state[name].shape != value.shape
            ),
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.misshapen)


class Misfit(EmbedkitError):
    """A file's tensors are not those of the model.

    Attributes:
        differences: how they differ, empty if the file could not even be compared.
    """

    differences = Differences()


def load_strictly(model: "nn.Module", state: "dict[str, Tensor]", name: str, path: Path) -> None:
    """Load every tensor of ``state`` into ``model``.

    Raises:
        Misfit: a tensor is missing, surplus or has another shape.
    """
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise misfit(name, path, state, str(error)) from error


def misfit(name: str, path: Path, state: "dict[str, Tensor]", reason: str) -> Misfit:
    """Return the error for a file that does not fit.

    Args:
        name: of the encoder.
        path: of the weights.
        state: the tensors in the file.
        reason: torch's message, which lists the names; of another message nothing is said to the user.
    """
    differences = Differences.of_message(reason, state)
    listed = {
        "missing": differences.missing,
        "not expected": differences.surplus,
        "of another shape": tuple(name for name, *_ in differences.misshapen),
    }
    parts = [f"{len(names)} tensors {what}, e.g. {names[0]}" for what, names in listed.items() if names]
    what = "; ".join(parts) or "its tensors are those of another model"
    error = Misfit(
        f"the file {path} does not fit {name}: {what}. {seems(state)} "
        f"Give the file of {name}, or the model that the file belongs to: `embedkit models check {name} FILE` looks."
    )
    error.differences = differences
    return error


def _quoted(reason: str, start: str) -> tuple[str, ...]:
    return tuple(re.findall(r'"([^"]+)"', "".join(re.findall(rf"{start} key\(s\)[^:]*:(.*)", reason))))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number.strip())


def seems(state: "dict[str, Tensor]") -> str:
    """Return a sentence that says what a file seems to hold, from the names of its tensors."""
    family = next((what for start, what in FAMILIES if any(key.startswith(start) for key in state)), "")
    millions = sum(value.numel() for value in state.values()) / 1e6
    size = f"{len(state)} tensors with {millions:.1f} million numbers"
    return f"It seems to be {family}: {size}." if family else f"It holds {size}, the first is '{next(iter(state))}'."
