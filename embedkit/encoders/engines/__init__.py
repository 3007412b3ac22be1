"""Engines: what computes a torch model. Each has a module with `start`, and those that may be absent have `lacks`.

All of them compute the same vectors, but for the rounding of the precision: the engine is no part of a cache key.
`auto` chooses by what was measured on this machine.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import nn

AUTO = "auto"
DEFAULT = "torch"
MODULES = {
    DEFAULT: "embedkit.encoders.engines.eager",
    "compile": "embedkit.encoders.engines.compiled",
    "openvino": "embedkit.encoders.engines.openvino",
    "onnx": "embedkit.encoders.engines.onnx",
}

OF_TORCH = (DEFAULT, "compile")
"""Those that take a batch as a tensor too, wherever it is."""

Build = Callable[[], "nn.Module"]
"""Builds a model anew: an engine may change the one that it gets."""


def check_engine(name: str) -> None:
    """Raise EmbedkitError unless there is such an engine."""
    if name not in (AUTO, *MODULES):
        raise EmbedkitError(f"unknown engine '{name}': choose {', '.join((AUTO, *MODULES))}")


def lacks(name: str, precision: str, device: str) -> str:
    """Return what an engine lacks to compute here in a precision on a device, empty if nothing."""
    missing: str = import_module(MODULES[name]).lacks(precision, device)
    return missing


def start(name: str, build: Build, preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Build a model and make it ready to run in an engine.

    Raises:
        EmbedkitError: the engine lacks something here, or can't run this model.
    """
    if missing := lacks(name, precision, device):
        raise EmbedkitError(f"the engine {name} lacks {missing}")
    running: Running = import_module(MODULES[name]).start(build(), preprocessing, precision, device)
    return running


__all__ = ["AUTO", "DEFAULT", "MODULES", "OF_TORCH", "Build", "Running", "check_engine", "lacks", "start"]
