"""The size of batch that is fastest on a GPU: doubled while that pays, once per encoder and machine, and remembered.

A processor's cores are busy with few images: on two of them, no size above the default was faster by more than the
noise of the machine (`benchmarks/batch.py`). A GPU has thousands, and how many fill it depends on the encoder.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from embedkit.encoders.encoder import Encoder, OutOfMemory
from embedkit.encoders.engines.fastest import Occasion
from embedkit.encoders.engines.memory import circumstances, memory_file, recall_batches, remember_batches
from embedkit.encoders.engines.running import rate_of

# A doubling must bring so much, or the memory is better left to others.
_WORTH_DOUBLING = 1.03
# Some batches are in this machine's memory beside those of the GPU: 2,048 images of 224 pixels are 300 MB.
_LARGEST = 2048
# Seconds that it takes to see how fast a size is (`compile` makes its kernels anew for each), and how often a run must
# last as long, so that a few percent earn it back.
_SECONDS = 1.5
_TAKES, _TAKES_COMPILED = 3.0, 60.0
_LASTS = 20


def best_batch(encoder: Encoder, configuration: Mapping[str, Any], device: str, occasion: Occasion) -> int:
    """Return how many images an encoder is to take at a time: those of the sample, or twice as often as it pays.

    Sizes are tried where none is remembered and the run is long enough to earn that back.

    Args:
        configuration: of the encoder, as `embedkit.encoders.configuration` returns it. device: where it runs.
    """
    first = len(occasion.sample)
    where = {**circumstances(configuration, device, first), "engine": encoder.engine}
    rates = recall_batches(where)
    if not rates:
        takes = _TAKES_COMPILED if encoder.engine == "compile" else _TAKES
        rates = _tried(encoder, occasion, takes)
        if not rates:
            return first
        remember_batches(where, rates)
        told = ", ".join(f"{size}: {rate:.1f}" for size, rate in rates.items())
        occasion.note(
            f"{encoder.card.name}: {_best(rates)} images at a time; images/s measured now: {told} "
            f"(remembered in {memory_file()})"
        )
    return _best(rates)


def _tried(encoder: Encoder, occasion: Occasion, takes: float) -> dict[int, float]:
    """Return images/s by size, each twice the last; nothing where the run is too short to try even one."""
    size, rates = len(occasion.sample), dict[int, float]()
    while size <= _LARGEST:
        if rates and occasion.images / min(rates.values()) < _LASTS * takes:
            break
        if not rates and occasion.images < _LASTS * size:
            break
        batch = np.resize(occasion.sample, (size, *occasion.sample.shape[1:]))
        try:
            rates[size] = rate_of(encoder.encode, encoder.threads, encoder.streams, batch, _SECONDS)
        except OutOfMemory:
            break
        if _best(rates) < size:
            break
        size *= 2
    # One size alone was compared with none.
    return rates if len(rates) > 1 else {}


def _best(rates: Mapping[int, float]) -> int:
    sizes = sorted(rates)
    best = sizes[0]
    for size in sizes[1:]:
        if rates[size] < _WORTH_DOUBLING * rates[best]:
            break
        best = size
    return best
