"""OpenVINO: the whole graph of a model, fused and laid out for an Intel or ARM processor."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import Lock, local
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.images.errors import reason_of
from embedkit.machine import cores

if TYPE_CHECKING:
    from torch import nn

# Each holds the activations of a batch.
_MOST_STREAMS = 8
_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


def lacks(precision: str, device: str) -> str:
    """Return what is missing here, empty if nothing is."""
    if device != "cpu":
        return "a processor to run on: it does not use the GPU (--device cpu)"
    return "" if find_spec("openvino") else "the package openvino: pip install 'embedkit[openvino]'"


def start(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Return the model, converted and compiled for one size of batch at a time, a stream of them per core or so.

    Raises:
        EmbedkitError: OpenVINO can't convert the model.
    """
    return running(converted(model, preprocessing), preprocessing, precision)


def running(graph: Any, preprocessing: Preprocessing, precision: str) -> Running:
    """Return a graph that takes any number of images, compiled for one size of batch at a time."""
    core = imported().Core()
    # Batches that are computed beside each other, each by its own cores, wait for nothing and nobody.
    streams = min(cores(), _MOST_STREAMS)
    settings = {"INFERENCE_PRECISION_HINT": _PRECISIONS[precision], "NUM_STREAMS": streams}

    def compiled(images: int) -> Any:
        # A graph of fixed shape is faster; it is made anew where a batch is halved.
        fixed = graph.clone()
        fixed.reshape([images, *preprocessing.shape])
        return core.compile_model(fixed, "CPU", settings)

    return Running(_runner(compiled), streams)


def _runner(compiled: Callable[[int], Any]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    networks: dict[int, Any] = {}
    turn, mine = Lock(), local()

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        with turn:
            if len(batch) not in networks:
                networks[len(batch)] = compiled(len(batch))
            network = networks[len(batch)]
        # A request is one batch in flight: each thread has its own.
        if getattr(mine, "network", None) is not network:
            mine.network, mine.request = network, network.create_infer_request()
        outputs = mine.request.infer([batch], share_inputs=True)
        vectors: NDArray[np.float32] = outputs[0].copy()
        return vectors

    return run


def imported() -> Any:
    """Return the package, without its telemetry: hospital machines report to nobody."""
    with unreported():
        return import_module("openvino")


@contextmanager
def unreported() -> Iterator[None]:
    """Let packages be imported that would report their use to the makers of OpenVINO, and go on without."""
    reporter = "openvino_telemetry"
    before = sys.modules.get(reporter)
    # A package that is None can't be imported.
    sys.modules[reporter] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[reporter]
        if before is not None:
            sys.modules[reporter] = before


def converted(model: "nn.Module", preprocessing: Preprocessing) -> Any:
    """Return a model as a graph of OpenVINO, from uint8 pixels to vectors.

    Raises:
        EmbedkitError: OpenVINO can't convert the model.
    """
    import torch

    from embedkit.encoders.engines.prepared import Prepared

    example = torch.zeros(2, *preprocessing.shape, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return imported().convert_model(Prepared(model, preprocessing), example_input=(example,))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise EmbedkitError(f"OpenVINO cannot convert it: {reason_of(error)}. Use --engine torch") from error
