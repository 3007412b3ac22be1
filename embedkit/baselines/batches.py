"""The order of the images and what is varied in them: functions of seed, fold and epoch, whatever ran before."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

# What two exposures of the same patient may differ by: position on the plate, distance, exposure.
DEGREES, SCALE, SHIFT, LIGHT = 10.0, 0.1, 0.05, 0.1


def shuffled(count: int, batch: int, seed: int, fold: int, epoch: int) -> tuple[list[np.ndarray], "Generator"]:
    """Return positions 0..count-1 in batches of nearly one size, and the generator for what is varied in them.

    No image is left out, and none is alone in a batch, which normalisation over a batch could not stand.
    """
    import torch

    rng = np.random.default_rng([seed, fold, epoch])
    order = rng.permutation(count)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return np.array_split(order, -(-count // batch)), generator


def in_order(count: int, batch: int) -> Iterator[slice]:
    """Yield positions 0..count-1 in batches."""
    return (slice(start, start + batch) for start in range(0, count, batch))


def to_images(pixels: np.ndarray, device: "torch.device | str" = "cpu") -> "Tensor":
    """Return (n, H, W, 3) uint8 as (n, 3, H, W) float in 0..1 on a device, with the channels last in memory."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2).float().div_(255)


def varied(pictures: "Tensor", generator: "Generator", flip: bool) -> "Tensor":
    """Turn, scale, shift and light each image a little, at random; what comes in from outside is mirrored.

    Args:
        pictures: (n, 3, H, W) float. flip: mirror half of them left to right.
    """
    import torch
    from torch.nn import functional

    n = len(pictures)

    def spread(limit: float) -> "Tensor":
        # Drawn on the CPU, so that every device sees the same variation.
        return ((2 * torch.rand(n, generator=generator) - 1) * limit).to(pictures.device)

    angle, scale = spread(np.pi * DEGREES / 180), 1 + spread(SCALE)
    mirror = 1 - 2 * (spread(1.0) < 0).float() if flip else torch.ones_like(angle)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # The grid spans -1..1, so a shift by a share of the width is twice that.
    rows = [
        torch.stack([cos * mirror, -sin, spread(2 * SHIFT)], 1),
        torch.stack([sin * mirror, cos, spread(2 * SHIFT)], 1),
    ]
    contrast, brightness = (1 + spread(LIGHT)).view(n, 1, 1, 1), spread(LIGHT).view(n, 1, 1, 1)
    grid = functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    return ((moved - middle) * contrast + middle + brightness).to(memory_format=torch.channels_last)
