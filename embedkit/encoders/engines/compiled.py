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

from embedkit.encoders.device import kind_of
from embedkit.encoders.engines import eager
from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing

if TYPE_CHECKING:
    from torch import nn


def lacks(precision: str, device: str) -> str:
    """Return what is missing here, empty if nothing is."""
    if kind_of(device) == "cuda":
        # Triton compiles what launches its kernels.
        return _lacks_compiler("CC", "gcc", "clang") if find_spec("triton") else "the package triton"
    return _lacks_compiler("CXX", "g++", "clang++")


def _lacks_compiler(variable: str, *usual: str) -> str:
    named = os.environ.get(variable)
    found = any(map(shutil.which, [named] if named else usual))
    return "" if found else f"a {'C++' if variable == 'CXX' else 'C'} compiler such as {usual[0]}"


def start(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Return the model, which is compiled when it sees its first batch: half a minute to minutes."""
    import torch

    # It warns of a CUDA toolkit without a GPU, which is no matter here.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    module: Callable[[torch.Tensor], torch.Tensor] = torch.compile(
        eager.prepared(model, preprocessing, precision, device), dynamic=False
    )
    running = eager.by_torch(module, device)
    if kind_of(device) == "cuda":
        # Batches are compute-bound, and far longer than the launches of their kernels that CUDA graphs
        # (mode="reduce-overhead") would spare; those belong to the thread that recorded them, and another one fails
        # (pytorch issue 123177).
        return running
    ready, turn = set[int](), Lock()

    def run(batch: "NDArray[np.uint8] | torch.Tensor") -> NDArray[np.float32]:
        if len(batch) in ready:
            return running.run(batch)
        # Two threads that come at once would both compile it.
        with turn:
            vectors = running.run(batch)
            ready.add(len(batch))
            return vectors

    return replace(running, run=run)
