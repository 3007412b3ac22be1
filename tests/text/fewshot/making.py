"""Shots with a known structure, and a text tower that gives every text a vector of its own."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from embedkit.encoders import TextEncoder, TextTower
from embedkit.text import PromptSet
from embedkit.text.fewshot.shots import Part, Shots

PROMPTS = PromptSet.from_table(
    {"templates": ["a photo of {}."], "classes": {str(k): f"thing {k}" for k in range(6)}}, "prompts of a test"
)


def a_tower(d: int = 8, name: str = "words") -> TextTower:
    def run(texts: Sequence[str]) -> NDArray[np.float32]:
        seeds = [zlib.crc32(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=d) for seed in seeds]).astype(np.float32)

    parts = ("backend", "architecture", "weights", "output")
    encoder = TextEncoder(run, lambda text: len(text.split()), context=32, logit_scale=10.0)
    return TextTower(name, name, dict.fromkeys(parts, name), lambda: encoder)


def a_part(F: torch.Tensor, y: torch.Tensor) -> Part:
    F = normalize(F, dim=-1)
    return Part(F, F, y)


def some_shots(
    draws: int = 2, each: int = 4, d: int = 6, classes: int = 3, signal: float = 1.5, seed: int = 0
) -> Shots:
    """Return draws whose classes lie in the directions of their texts, with noise."""
    generator = torch.Generator().manual_seed(seed)
    W = normalize(torch.randn(classes, d, generator=generator), dim=-1)

    def part(count: int) -> Part:
        y = torch.arange(classes).repeat_interleave(count).repeat(draws, 1)
        return a_part(signal * W[y] + torch.randn(*y.shape, d, generator=generator), y)

    return Shots(part(each), part(min(each, 4)), part(10), W, torch.full((draws,), 10.0))
