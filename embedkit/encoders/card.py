"""EncoderCard: one frozen encoder as data, and the part of a cache key that it decides."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedkit.encoders.preprocess import Preprocessing

OPEN_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
PROJECTED = "projected"
ALIGNED = "aligned"


@dataclass(frozen=True)
class EncoderCard:
    """A frozen encoder: a row of the catalog, or what a spec such as ``timm:resnet18`` stands for.

    Attributes:
        name: the catalog name, or the spec as the user wrote it.
        source: whose weights they are, such as ``timm:resnet50.tv_in1k``; the same whatever name it has here.
        backend: the library that builds it: timm, torchvision, open_clip or onnx; ``aligned`` where it is a projection
            of another encoder's vectors, an `AlignedPair`.
        architecture: the name that this library knows it by.
        output: ``pooled`` (what the classifier would see) or ``projected`` (the shared space of image and text).
        preprocessing: what is done to an image first.
        licence: of the weights.
        trained_on: the images it has seen.
        precision: the fastest one that keeps the vectors: ``fp32`` where bf16 turns them by a cosine of over .001.
        dim: numbers in an embedding; None where only the built model knows.
        parameters: of the part that is used, without classifier or text tower; None as above.
        hub: repository of the weights on the Hugging Face hub, empty if there is none.
        files: the file names there, the preferred one first.
        url: where the weights are if they are not on the hub.
        package: an installable Python package that carries the weights, empty if there is none.
        package_file: the file within it.
        patch: a named change to the architecture, see ``backends/timm.py``.
        keys: how the names of the published tensors become those of the architecture: ``by-order`` if they only
            stand in the same order, else one of ``keys.RENAMINGS``; empty if they are the same.
        vision: what the architecture's name alone does not say: the image tower's open_clip configuration where
            open_clip does not ship it, or the arguments of ``timm.create_model``.
        text: the text tower's open_clip configuration, its ``text_cfg``, where open_clip does not ship it; no part of
            the key, because no image is embedded by it.
        access: whether the weights are open, or what must be agreed to first and where.
        get: a sentence that says how to come by the file where no program can fetch it, or fetch it as it must be.
        homepage: where the publisher describes it.
        citation: the paper to cite.
        path: a local file that the spec itself names.
    """

    name: str
    source: str
    backend: str
    architecture: str
    output: str
    preprocessing: Preprocessing
    licence: str = "not stated"
    trained_on: str = "not stated"
    precision: str = "bf16"
    dim: int | None = None
    parameters: int | None = None
    hub: str = ""
    files: tuple[str, ...] = ()
    url: str = ""
    package: str = ""
    package_file: str = ""
    patch: str = ""
    keys: str = ""
    vision: Mapping[str, Any] | None = field(default=None, hash=False)
    text: Mapping[str, Any] | None = field(default=None, hash=False)
    access: str = "open"
    get: str = ""
    homepage: str = ""
    citation: str = ""
    path: Path | None = None

    @property
    def slug(self) -> str:
        """The name as a file name: ``timm:resnet18.a1_in1k`` is ``timm-resnet18.a1_in1k``."""
        name = self.name
        if self.backend == ALIGNED:
            return as_file_name(self.architecture)
        if self.path is not None:
            architecture = [self.architecture] if self.architecture else []
            # In a folder that open_clip saved, the file has the same name in all of them.
            stem = self.path.parent.name if self.path.name in OPEN_CLIP_FILES else self.path.stem
            name = "-".join([self.backend, *architecture, stem])
        return as_file_name(name)


def as_file_name(name: str) -> str:
    """Return a name with everything but letters, digits, dot, hyphen and underscore replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def configuration(card: EncoderCard, weights_digest: str, precision: str) -> dict[str, Any]:
    """Return everything of the encoder that changes a vector, and nothing that does not.

    Args:
        card: the encoder.
        weights_digest: `weights_digest` of the file that is loaded.
        precision: ``fp32`` or ``bf16``.

    Returns:
        A JSON-able dict, part of the cache key. No path, licence or prose is in it.
    """
    return {
        "source": card.source,
        "backend": card.backend,
        "architecture": card.architecture,
        "patch": card.patch,
        "vision": None if card.vision is None else dict(card.vision),
        "weights": weights_digest,
        "output": card.output,
        "normalised": False,
        "preprocessing": card.preprocessing.describe(),
        "precision": precision,
    }


def space(configuration: Mapping[str, Any]) -> str:
    """Return the name of the space that vectors lie in: vectors of one space can be compared, others cannot.

    Both towers of one checkpoint project into one space. An image tower that does not project has a space of its own,
    and what was aligned with a text tower has that one's.

    Args:
        configuration: of an image encoder, from `configuration`, or of a text tower, from `text_tower`.
    """
    if configuration["backend"] == ALIGNED:
        return str(configuration["space"])
    parts = [str(configuration[part]) for part in ("backend", "architecture", "weights", "output")]
    # The same weights with another activation are another model.
    quick = (configuration.get("vision") or {}).get("quick_gelu")
    return ":".join([*parts, "quick"] if quick else parts)
