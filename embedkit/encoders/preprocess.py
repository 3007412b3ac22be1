"""Preprocessing as data: what is done to an image before a frozen encoder sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedkit.errors import EmbedkitError

RESIZE_MODES = ("shortest", "squash")
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocessing:
    """The deterministic evaluation transform of timm, torchvision and open_clip.

    Attributes:
        size: side in pixels of the square that the encoder sees.
        resize: side in pixels that the image is resized to before the centre of it is cut out.
        resize_mode: ``shortest`` keeps the proportions and sets the shorter side, ``squash`` sets both.
        interpolation: ``bicubic`` or ``bilinear``, antialiased.
        mean: subtracted from each channel, in units of 0..1.
        std: each channel is divided by it afterwards.
    """

    size: int
    resize: int
    resize_mode: str
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> Self:
        """Build it from a TOML or JSON table.

        Args:
            table: the six fields; mean and std as lists of three numbers.
            where: the file or row, for the message.

        Raises:
            EmbedkitError: a field is unknown, absent or has an impossible value.
        """
        names = {field.name for field in fields(cls)}
        if wrong := sorted(set(table) ^ names):
            raise EmbedkitError(
                f"the preprocessing of {where} must have exactly the fields {', '.join(sorted(names))}: "
                f"look at {', '.join(wrong)}"
            )
        for name in ("size", "resize"):
            if type(table[name]) is not int or table[name] < 1:
                raise EmbedkitError(f"{name} of {where} must be a whole number of pixels, not {table[name]!r}")
        for name, choices in (("resize_mode", RESIZE_MODES), ("interpolation", tuple(FILTERS))):
            if table[name] not in choices:
                raise EmbedkitError(f"{name} of {where} must be {' or '.join(choices)}, not {table[name]!r}")
        triples = {name: _triple(table[name], name, where) for name in ("mean", "std")}
        if min(triples["std"]) <= 0:
            raise EmbedkitError(f"std of {where} must be above 0, not {table['std']!r}")
        return cls(**{**table, **triples})

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and cut out the centre.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            (size, size, 3) uint8, bit for bit what the library of the encoder gives on the same PIL image,
            before the division by 255, mean and std, which `Encoder.encode` does on the device.
        """
        image = Image.fromarray(pixels)
        width, height = image.size
        if self.resize_mode == "squash":
            target = (self.resize, self.resize)
        elif width <= height:
            target = (self.resize, int(self.resize * height / width))
        else:
            target = (int(self.resize * width / height), self.resize)
        image = image.resize(target, FILTERS[self.interpolation])
        left, top = (_offset(length, self.size) for length in target)
        return np.array(image.crop((left, top, left + self.size, top + self.size)))

    def describe(self) -> dict[str, Any]:
        """Return every field, with lists for tuples, so that it can be written as JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _offset(length: int, size: int) -> int:
    """Return where the cut starts; below zero the image is shorter than the cut and black is added there."""
    return -((size - length) // 2) if length < size else round((length - size) / 2)


def _triple(value: Any, name: str, where: str) -> tuple[float, float, float]:
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(type(v) in (int, float) for v in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise EmbedkitError(f"{name} of {where} must be three numbers, one for each of red, green, blue, not {value!r}")
