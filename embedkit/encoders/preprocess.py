"""Preprocessing as data: what is done to an image before a frozen encoder sees it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedkit.errors import EmbedkitError

OPTIONAL = {"width", "stretch"}
RESIZE_MODES = ("shortest", "squash")
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocessing:
    """The deterministic evaluation transform of timm, torchvision and open_clip.

    Attributes:
        size: side in pixels of the square that the encoder sees; its height if there is a width too.
        resize: side in pixels that the image is resized to before the centre of it is cut out.
        resize_mode: ``shortest`` keeps the proportions and sets the shorter side, ``squash`` sets both.
        interpolation: ``bicubic`` or ``bilinear``, antialiased.
        mean: subtracted from each channel, in units of 0..1.
        std: each channel is divided by it afterwards.
        width: in pixels, of an encoder that sees an oblong; such an image is always squashed.
        stretch: whether the darkest value of each image becomes 0 and its brightest 1 before mean and std.
    """

    size: int
    resize: int
    resize_mode: str
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    width: int | None = None
    stretch: bool = False

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> Self:
        """Build it from a TOML or JSON table.

        Args:
            table: the fields, of which width and stretch may be left out; mean and std as lists of three numbers.
            where: the file or row, for the message.

        Raises:
            EmbedkitError: a field is unknown, absent or has an impossible value.
        """
        names = {field.name for field in fields(cls)} - OPTIONAL
        if wrong := sorted((set(table) ^ names) - OPTIONAL):
            raise EmbedkitError(
                f"the preprocessing of {where} must have exactly the fields {', '.join(sorted(names))} "
                f"(and may have {' and '.join(sorted(OPTIONAL))}): look at {', '.join(wrong)}"
            )
        for name in ("size", "resize", *({"width"} & set(table))):
            if type(table[name]) is not int or table[name] < 1:
                raise EmbedkitError(f"{name} of {where} must be a whole number of pixels, not {table[name]!r}")
        for name, choices in (("resize_mode", RESIZE_MODES), ("interpolation", tuple(FILTERS))):
            if table[name] not in choices:
                raise EmbedkitError(f"{name} of {where} must be {' or '.join(choices)}, not {table[name]!r}")
        if type(table.get("stretch", False)) is not bool:
            raise EmbedkitError(f"stretch of {where} must be true or false, not {table['stretch']!r}")
        if "width" in table and (table["resize_mode"] != "squash" or table["resize"] != table["size"]):
            raise EmbedkitError(f"{where} has a width, so its resize_mode must be squash and its resize its size")
        triples = {name: _triple(table[name], name, where) for name in ("mean", "std")}
        if min(triples["std"]) <= 0:
            raise EmbedkitError(f"std of {where} must be above 0, not {table['std']!r}")
        return cls(**{**table, **triples})

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the image that the encoder sees."""
        return self.size, self.width or self.size, 3

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and cut out the centre.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            (size, width or size, 3) uint8, bit for bit what the library of the encoder gives on the same PIL image,
            before the division by 255, mean and std, which `Encoder.encode` does on the device.
        """
        # Of a radiograph's three equal channels one is enough: the others would be resized to the same numbers.
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]) if _grey(pixels) else pixels)
        image = image.resize(self.resized(*image.size), FILTERS[self.interpolation])
        left, top = self.corner(*image.size)
        height, width, _ = self.shape
        cut = np.array(image.crop((left, top, left + width, top + height)))
        return cut if cut.ndim == 3 else np.repeat(cut[:, :, None], 3, axis=2)

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height that an image of this width and height is resized to."""
        if self.resize_mode == "squash":
            return self.width or self.resize, self.resize
        if width <= height:
            return self.resize, int(self.resize * height / width)
        return int(self.resize * width / height), self.resize

    def corner(self, width: int, height: int) -> tuple[int, int]:
        """Return left and top of what is cut out of a resized image; below zero, black is added there."""
        return _offset(width, self.shape[1]), _offset(height, self.shape[0])

    def describe(self) -> dict[str, Any]:
        """Return every field that is set, with lists for tuples, so that it can be written as JSON."""
        described = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        # An encoder that needs neither keeps the key that its caches were written under before there were such.
        return {name: value for name, value in described.items() if value or name not in OPTIONAL}


def _grey(pixels: NDArray[np.uint8]) -> bool:
    red, green, blue = np.moveaxis(pixels, 2, 0)
    # The first row tells most colour images.
    return all(np.array_equal(red[:rows], other[:rows]) for rows in (1, len(pixels)) for other in (green, blue))


def _offset(length: int, size: int) -> int:
    """Return where the cut starts; below zero the image is shorter than the cut and black is added there."""
    return -((size - length) // 2) if length < size else round((length - size) / 2)


def _triple(value: Any, name: str, where: str) -> tuple[float, float, float]:
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(type(v) in (int, float) for v in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise EmbedkitError(f"{name} of {where} must be three numbers, one for each of red, green, blue, not {value!r}")
