"""torch.compile: operations fused into kernels that a C++ compiler (or Triton, on a GPU) makes for this model."""

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.engines import eager
from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing

if TYPE_CHECKING:
    from torch import nn


def lacks(precision: str, device: str) -> str:
    """Return what is missing here, empty if nothing is."""
    if device.startswith("cuda"):
        return "" if find_spec("triton") else "the package triton"
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return "" if any(map(shutil.which, compilers)) else "a C++ compiler such as g++"


def start(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Return the model, which is compiled when it sees its first batch: half a minute to minutes."""
    import torch

    # It warns of a CUDA toolkit without a GPU, which is no matter here.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    module: Callable[[torch.Tensor], torch.Tensor] = torch.compile(
        eager.prepared(model, preprocessing, precision, device), dynamic=False
    )
    running, ready, turn = eager.by_torch(module, device), set[int](), Lock()

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(batch) in ready:
            return running.run(batch)
        # Two threads that come at once would both compile it.
        with turn:
            vectors = running.run(batch)
            ready.add(len(batch))
            return vectors

    return replace(running, run=run)
