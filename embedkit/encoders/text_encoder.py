"""TextEncoder: texts in, one vector per text out, and TextTower: what is known of one before it is built."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.card import space

BATCH = 64


@dataclass(frozen=True)
class TextEncoder:
    """A frozen text tower that is ready to run, in float32.

    Attributes:
        run: up to `BATCH` texts to their vectors, (n, d) float32.
        count: how many tokens a text has, with those that mark its start and end.
        context: how many of them the tower reads; the rest is cut.
        logit_scale: what a CLIP multiplies cosines by before they are logits; 1 where the tower was trained without.
        logit_bias: what it adds to them (SigLIP).
    """

    run: Callable[[Sequence[str]], NDArray[np.float32]]
    count: Callable[[str], int]
    context: int
    logit_scale: float = 1.0
    logit_bias: float = 0.0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, at least one: (n, d) float32, not normalised."""
        starts = range(0, len(texts), BATCH)
        return np.concatenate([self.run(list(texts[start : start + BATCH])) for start in starts])

    def cut(self, texts: Sequence[str]) -> dict[str, int]:
        """Return the texts that are longer than the context, each with how many of its tokens are not read."""
        lengths = {text: self.count(text) for text in texts}
        return {text: length - self.context for text, length in lengths.items() if length > self.context}


@dataclass(frozen=True)
class TextTower:
    """A text tower whose weights are found but not read.

    Attributes:
        name: as the user wrote it. slug: the name, safe in a file name.
        configuration: everything of the tower that changes a vector, part of a cache key.
        load: builds it; called only when there is something to embed.
        logit_scale: in the place of the one that it was trained with, where images were aligned with its texts.
    """

    name: str
    slug: str
    configuration: dict[str, Any]
    load: Callable[[], TextEncoder]
    logit_scale: float | None = None

    @property
    def space(self) -> str:
        """The space that its vectors lie in, as `embedkit.encoders.space` names it."""
        return space(self.configuration)
