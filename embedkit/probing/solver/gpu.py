"""The products on a GPU, where scores and the probabilities made of them stay; coefficients come and go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from embedkit.errors import EmbedkitError
from embedkit.probing.solver.arrays import Array

if TYPE_CHECKING:
    import torch

# Rows of one block: a GPU is busy only with many, and must hold the scores of all problems on them.
ROWS = 32_768


class OnDevice:
    """Products by torch on a device.

    Args:
        X: (n, d), there, in the precision in which it is multiplied or in a lower one. kind: that precision; what is
            multiplied in bfloat16 is added up in single precision and rounded again.
    """

    # Of what is added on the processor, beside what a GPU does.
    speed = 10.0

    def __init__(self, X: "torch.Tensor", kind: "torch.dtype") -> None:
        import torch

        self.X, self.kind = X, kind
        self.result = torch.promote_types(kind, torch.float32)

    @classmethod
    def made_of(cls, X: np.ndarray, device: str, rounded: bool, double: bool = False) -> "OnDevice":
        """Return products with X (n, d), in bfloat16 where they may be ``rounded`` and the device can."""
        import torch

        there = torch.tensor(X, device=device)
        if double:
            return cls(there, torch.float64)
        kind = torch.bfloat16 if rounded and _has_bfloat16(device) else torch.float32
        return cls(there.to(kind), kind)

    def of(self, rows: np.ndarray) -> "OnDevice":
        """As in `Products`, with a copy."""
        import torch

        return OnDevice(self.X[torch.from_numpy(rows).to(self.X.device)], self.kind)

    def block(self, rows: slice) -> "torch.Tensor":
        """As in `Products`."""
        return self.X[rows].to(self.kind)

    def there(self, array: np.ndarray) -> "torch.Tensor":
        """As in `Products`."""
        import torch

        return torch.tensor(array, device=self.X.device)

    def across(self, block: "torch.Tensor", coef: np.ndarray) -> "torch.Tensor":
        """As in `Products`."""
        return (self.there(coef).to(self.kind) @ block.T).to(self.result)

    def down(self, change: Array, block: "torch.Tensor") -> np.ndarray:
        """As in `Products`."""
        return np.asarray((change.to(self.kind) @ block).to(self.result).cpu().numpy())

    def square(self, F: np.ndarray) -> np.ndarray:
        """As in `Products`."""
        there = self.there(F).to(self.kind)
        return np.asarray((there.T @ there).to(self.result).cpu().numpy())


@contextmanager
def enough_memory(device: str) -> Iterator[None]:
    """Say so where the memory of a device runs out.

    Raises:
        EmbedkitError: it did.
    """
    if device == "cpu":
        yield
        return
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EmbedkitError(
            f"the device '{device}' has too little memory for this fit: leave --device out, or free what others take"
        ) from error


def _has_bfloat16(device: str) -> bool:
    import torch

    return not device.startswith("cuda") or torch.cuda.is_bf16_supported(including_emulation=False)
