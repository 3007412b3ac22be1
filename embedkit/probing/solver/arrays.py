"""What numpy's arrays and torch's tensors have in common, so that a loss is written once for processors and GPUs.

Both index alike, with numpy's positions too, and add, multiply and compare by the same operators.
"""

from typing import Any

import numpy as np

# An array of numpy or a tensor of torch.
Array = Any


def library(array: Array) -> Any:
    """Return numpy or torch, whose exp, log1p, where, amax, concatenate and stack are named and called alike."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def double(array: Array) -> Array:
    """Return an array in double precision."""
    return array.astype(np.float64) if isinstance(array, np.ndarray) else array.double()


def single(array: Array) -> Array:
    """Return an array in single precision."""
    return array.astype(np.float32) if isinstance(array, np.ndarray) else array.float()


def host(array: Array) -> np.ndarray:
    """Return an array as numpy's."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu().numpy())
