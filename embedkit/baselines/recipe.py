"""Recipe: every choice of a training, checked once."""

from dataclasses import dataclass
from pathlib import Path

from embedkit.errors import EmbedkitError, refuse_too_small

_LEAST = {"epochs": 1, "size": 16, "batch": 2, "patience": 1}
_FROM_SCRATCH, _FROM_WEIGHTS = 1e-3, 2e-4


@dataclass(frozen=True)
class Recipe:
    """How a network is trained end to end: AdamW, one epoch of warm-up, then a cosine to 0.

    Attributes:
        arch: a name of timm, or of a catalog encoder that timm builds.
        weights: a checkpoint to start from, or a folder of them; None starts from random weights.
        epochs: at most. patience: epochs without a better validation AUC after which it stops.
        size: side in pixels of the square that every image is resized to, whole, without a crop.
        batch: images per step. lr: the highest learning rate, by default .001 from scratch and .0002 from weights.
        weight_decay: of matrices and kernels, not of biases and normalisation.
        flip: mirror half of the images left to right. Off, because a mirrored chest has its heart on the right and a
            left breast becomes a right one; harmless where images have no sides, as in dermatoscopy and histology.
        precision: ``bf16`` or ``fp32``, by default bf16 where the machine computes in it.
        device: ``cpu`` or ``cuda``, by default cuda where there is one.

    Raises:
        EmbedkitError: a choice that makes no sense.
    """

    arch: str = "resnet18"
    weights: Path | None = None
    epochs: int = 30
    patience: int = 8
    size: int = 224
    batch: int = 32
    lr: float | None = None
    weight_decay: float = 0.01
    flip: bool = False
    precision: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        refuse_too_small(self, _LEAST)
        if self.lr is not None and not 0 < self.lr < 1:
            raise EmbedkitError(f"lr = {self.lr} is no learning rate: give one above 0 and below 1, such as .001")
        if self.weight_decay < 0:
            raise EmbedkitError(f"weight_decay = {self.weight_decay} is below 0: give 0 or more")
        if self.precision not in (None, "bf16", "fp32"):
            raise EmbedkitError(f"unknown precision '{self.precision}': choose bf16 or fp32")

    @property
    def learning_rate(self) -> float:
        """The highest learning rate."""
        return self.lr or (_FROM_SCRATCH if self.weights is None else _FROM_WEIGHTS)
