"""Torch as it is, one operation after another: the engine that always works, and the reference of the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.machine import cores

if TYPE_CHECKING:
    import torch
    from torch import nn

# Each holds the activations of a batch.
_MOST_STREAMS = 4
# One batch is made ready and copied while a GPU computes another.
_STREAMS_OF_A_GPU = 2


def check_device(device: str) -> None:
    """Raise EmbedkitError unless torch can compute on the device here."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).split("\n")[0]
        raise EmbedkitError(f"cannot compute on the device '{device}' ({reason}): use cpu") from error


def lacks(precision: str, device: str) -> str:
    """Return what is missing here: nothing."""
    return ""


def start(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> Running:
    """Return the model, ready to run batches on a device."""
    ready = prepared(model, preprocessing, precision, device)
    if device == "cpu":
        from embedkit.encoders.engines.linear import add_biases_in_products

        add_biases_in_products(ready)
    return by_torch(ready, device)


def prepared(model: "nn.Module", preprocessing: Preprocessing, precision: str, device: str) -> "nn.Module":
    """Return the model with the normalisation of pixels before it, in its precision, on its device."""
    import torch

    from embedkit.encoders.engines.prepared import Prepared

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return Prepared(model, preprocessing, dtype).to(device)


def by_torch(compute: "Callable[[torch.Tensor], torch.Tensor]", device: str) -> Running:
    """Return a function of torch that takes uint8 pixels (n, h, w, 3), ready to run batches."""
    import torch

    on_gpu, turn = torch.device(device).type == "cuda", Lock()

    @contextmanager
    def exactly() -> Iterator[None]:
        """Choose kernels of a GPU without TF32, a third precision that the cache key does not know of."""
        # The choice is the whole process's, and made when a kernel is queued: one thread at a time queues its kernels.
        with turn, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels: torch.Tensor = torch.from_numpy(np.require(batch, requirements=("C", "W")))
        if on_gpu:
            pixels = pixels.pin_memory()
        with torch.inference_mode():
            pixels = pixels.to(device, non_blocking=True)
            with exactly() if on_gpu else nullcontext():
                queued = compute(pixels)
            vectors: NDArray[np.float32] = queued.cpu().numpy()
            return vectors

    if on_gpu:
        return Running(run, _STREAMS_OF_A_GPU)
    # Batches beside each other, each on its own cores, don't wait for each other after every operation.
    streams = min(cores(), _MOST_STREAMS)
    return Running(run, streams, partial(torch.set_num_threads, cores() // streams))
