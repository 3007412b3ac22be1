"""Torch as it is, one operation after another: the engine that always works, and the reference of the others."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders.device import kind_of
from embedkit.encoders.engines.running import Running
from embedkit.encoders.preprocess import Preprocessing
from embedkit.errors import EmbedkitError
from embedkit.machine import cores

if TYPE_CHECKING:
    import torch
    from torch import nn

    Compute = Callable[[torch.Tensor], torch.Tensor]

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


def by_torch(compute: "Compute", device: str) -> Running:
    """Return a function of torch that takes uint8 pixels (n, h, w, 3), ready to run batches."""
    import torch

    if kind_of(device) == "cuda":
        return _on_gpu(compute, device)

    def run(batch: "NDArray[np.uint8] | torch.Tensor") -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors: NDArray[np.float32] = compute(_tensor(batch).to(device)).cpu().numpy()
            return vectors

    # Batches beside each other, each on its own cores, don't wait for each other after every operation.
    streams = min(cores(), _MOST_STREAMS)
    return Running(run, streams, partial(torch.set_num_threads, cores() // streams))


def _on_gpu(compute: "Compute", device: str) -> Running:
    """Return a function that keeps a GPU busy when two threads call it: one batch is computed, the next one copied.

    Batches are computed on the one stream that all threads share by default, and copied on another one. All that a
    batch needs is queued at once, its way back included, or it would wait for the batch behind it.
    """
    import torch

    turn, copying = Lock(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def run(batch: "NDArray[np.uint8] | torch.Tensor") -> NDArray[np.float32]:
        # Each thread has a current device of its own, on which memory is pinned and streams are looked up.
        with torch.inference_mode(), torch.cuda.device(device):
            given = _tensor(batch)
            given = given if given.is_cuda else given.pin_memory()
            # TF32 would be a third precision that the cache key does not know of. The choice of kernels is the whole
            # process's, and made when one is queued: one thread at a time queues its kernels.
            with turn, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                with torch.cuda.stream(copying):
                    pixels = given.to(device, non_blocking=True)
                computing = torch.cuda.current_stream()
                computing.wait_stream(copying)
                # Or other pixels could be given their memory, as soon as the kernels that read it are queued.
                pixels.record_stream(computing)
                vectors = compute(pixels).to("cpu", non_blocking=True)
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                done.record(computing)
            # The thread sleeps: spinning would take a core from the decoding processes.
            done.synchronize()
            found: NDArray[np.float32] = vectors.numpy()
            return found

    return Running(run, _STREAMS_OF_A_GPU)


def _tensor(batch: "NDArray[np.uint8] | torch.Tensor") -> "torch.Tensor":
    import torch

    if isinstance(batch, torch.Tensor):
        return batch
    return torch.from_numpy(np.require(batch, requirements=("C", "W")))
