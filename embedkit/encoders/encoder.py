"""Encoder: a batch of images in, one vector per image out."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders import engines
from embedkit.encoders.card import EncoderCard, configuration
from embedkit.encoders.device import default_precision
from embedkit.encoders.engines import int8
from embedkit.encoders.engines.fastest import Contest, Occasion
from embedkit.encoders.quantised import QuantisedNetwork
from embedkit.encoders.weights import Weights
from embedkit.errors import EmbedkitError
from embedkit.machine import version_of

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16")
INT8 = int8.INT8
"""The precision that is never chosen by itself: it needs a network that some images have calibrated."""


class OutOfMemory(EmbedkitError):
    """A batch needs more memory than there is; a smaller one may fit."""


# How torch on a CPU, torch on a GPU, cuBLAS and cuDNN there, and onnxruntime say it; none has a class of its own for
# all devices.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "alloc_failed",
    "allocation_failed",
)


@contextmanager
def memory_told(what: str, n: int) -> Iterator[None]:
    """Turn what torch and others raise where memory runs out into `OutOfMemory`."""
    try:
        yield
    except (MemoryError, RuntimeError, EmbedkitError) as error:
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
            raise OutOfMemory(f"{what}: not enough memory for a batch of {n}: give a smaller --batch") from error
        raise


class Encoder:
    """A frozen model that is ready to run.

    Attributes:
        card: what it is.
        shape: height, width and channels of the images that it takes.
        dim: numbers in an embedding.
        engine: what computes it.
        streams: how many threads should call `encode` at once for the hardware to be busy; `threads` makes them.
    """

    def __init__(
        self, card: EncoderCard, running: engines.Running, engine: str = engines.DEFAULT, batch: int = 1
    ) -> None:
        self.card = card
        self.shape = card.preprocessing.shape
        self.engine, self.streams = engine, running.streams
        self.threads = running.threads
        self._run = running.run
        self.dim = card.dim if card.dim is not None else self._measure(running, batch)

    def encode(self, batch: "NDArray[np.uint8] | torch.Tensor") -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            batch: (n, *shape) uint8 RGB, each image as `Preprocessing.apply` returns it; or the same as a tensor on the
                device that computes, all that is queued for it done.

        Returns:
            (n, dim) float32, not normalised. An image gets the same vector whatever else is in the batch, as
            long as n is the same.

        Raises:
            OutOfMemory: the batch is too large for this machine.
            EmbedkitError: the batch has another shape or type, or the model another output than its card says.
        """
        if str(batch.dtype) not in ("uint8", "torch.uint8") or tuple(batch.shape[1:]) != self.shape:
            raise EmbedkitError(
                f"{self.card.name} takes a batch of uint8 images of shape {self.shape}, "
                f"not {batch.dtype} of shape {tuple(batch.shape[1:])}: use its preprocessing"
            )
        if not len(batch):
            return np.empty((0, self.dim), np.float32)
        if not isinstance(batch, np.ndarray) and self.engine not in engines.OF_TORCH:
            batch = batch.cpu().numpy()
        with memory_told(self.card.name, len(batch)):
            vectors = self._run(batch)
        if vectors.shape != (len(batch), self.dim):
            raise EmbedkitError(
                f"{self.card.name} gave an output of shape {vectors.shape} for {len(batch)} images, "
                f"not one vector of {self.dim} numbers per image: export it without its classifier"
            )
        return vectors

    def _measure(self, running: engines.Running, batch: int) -> int:
        # Of the size that is to come, since for another one `compile` would make kernels that nobody needs.
        shape = running.run_in_thread(np.zeros((batch, *self.shape), np.uint8)).shape
        if len(shape) != 2:
            raise EmbedkitError(f"{self.card.name} gives an output of shape {shape}, not one vector per image")
        return int(shape[1])


def check_engine_for(card: EncoderCard, weights: Weights, engine: str, precision: str, device: str) -> None:
    """Raise EmbedkitError unless an engine other than ``auto`` can compute an encoder here; nothing is loaded."""
    if _is_graph(card, weights):
        _refuse_graph(weights, engine)
    elif missing := engines.lacks(engine, precision, device):
        raise EmbedkitError(f"the engine {engine} lacks {missing}")


def _is_graph(card: EncoderCard, weights: Weights) -> bool:
    # A file named NAME.onnx stands in for a model of the catalog, with the preprocessing of its row.
    return card.backend == "onnx" or weights.path.suffix == ".onnx"


def _refuse_graph(weights: Weights, engine: str) -> None:
    if engine not in (engines.AUTO, "onnx"):
        raise EmbedkitError(f"{weights.path} is an ONNX graph, which only the engine onnx runs, not {engine}")


def load_encoder(
    card: EncoderCard,
    weights: Weights,
    precision: str,
    device: str,
    engine: str = engines.AUTO,
    occasion: Occasion | None = None,
) -> Encoder:
    """Build the model of a card and load its weights.

    Args:
        card: what to build.
        weights: from `find_weights`.
        precision: ``fp32`` or ``bf16``, in which the whole model computes; vectors are float32 either way.
        device: ``cpu``, ``cuda`` or another that torch knows.
        engine: what computes it: ``torch``, ``compile``, ``openvino`` or ``onnx``; or ``auto``, the fastest of them on
            this machine.
        occasion: what ``auto`` tries engines on; without one it is torch.

    Raises:
        EmbedkitError: the file is not safe to read or does not fit, or the device, precision or engine is not
            available.
    """
    if precision not in PRECISIONS:
        raise EmbedkitError(f"unknown precision '{precision}': use {' or '.join(PRECISIONS)}")
    engines.check_engine(engine)
    if _is_graph(card, weights):
        from embedkit.encoders.backends import onnx

        _refuse_graph(weights, engine)
        return Encoder(card, engines.Running(onnx.runner(card, weights.path, precision, device)), "onnx")
    from embedkit.encoders.engines.eager import check_device

    check_device(device)
    build = _builder(card, weights)
    batch = 1 if occasion is None else len(occasion.sample)
    if engine == engines.AUTO and occasion is not None:
        known = configuration(card, "", precision)
        name, running = Contest(card.name, known, build, card.preprocessing, precision, device).fastest(occasion)
        return Encoder(card, running, name, batch)
    name = engines.DEFAULT if engine == engines.AUTO else engine
    return Encoder(card, engines.start(name, build, card.preprocessing, precision, device), name, batch)


def check_int8(card: EncoderCard, weights: Weights, engine: str, device: str) -> None:
    """Raise EmbedkitError unless an encoder can be run in int8 here; nothing is loaded.

    Args:
        engine: as in `load_encoder`. device: where it is to run.
    """
    if _is_graph(card, weights):
        raise EmbedkitError(
            f"{weights.path} is an ONNX graph, which runs in the precision that it was exported in: leave --precision "
            "out"
        )
    if engine not in (engines.AUTO, int8.ENGINE):
        raise EmbedkitError(
            f"int8 is computed by the engine {int8.ENGINE} alone, not by {engine}: leave out --engine and "
            "EMBEDKIT_ENGINE, or choose --precision bf16 or fp32"
        )
    if missing := int8.lacks(device):
        raise EmbedkitError(f"int8 lacks {missing}")


def check_quantises() -> None:
    """Raise EmbedkitError unless `quantise` has its packages here."""
    if missing := int8.lacks_to_quantise():
        raise EmbedkitError(f"int8 lacks {missing}")


def quantise(
    card: EncoderCard, weights: Weights, images: NDArray[np.uint8], digests: tuple[str, ...], data: str
) -> QuantisedNetwork:
    """Build the model of a card and make it a network in int8, calibrated on images.

    Args:
        card, weights: as in `load_encoder`. images: (n, *shape) uint8, as its preprocessing returns them.
        digests: of the images. data: the name of their set.

    Raises:
        EmbedkitError: as `load_encoder`; a package is missing; NNCF can't quantise the model.
    """
    check_quantises()
    graph, numbers = int8.quantise(_builder(card, weights)(), card.preprocessing, images)
    made_with = {name: version_of(name) for name in ("nncf", "openvino", "torch")}
    return QuantisedNetwork(graph, numbers, default_precision(card), digests, data, made_with)


def load_quantised(card: EncoderCard, network: Path) -> Encoder:
    """Load what `quantise` made and `QuantisedNetwork.save` wrote.

    Raises:
        EmbedkitError: the file is damaged.
    """
    found = QuantisedNetwork.load(network)
    running = int8.start(found.graph, found.numbers, card.preprocessing, found.rest)
    return Encoder(card, running, int8.ENGINE)


def _builder(card: EncoderCard, weights: Weights) -> engines.Build:
    return partial(import_module(f"embedkit.encoders.backends.{card.backend}").build, card, weights.path)
