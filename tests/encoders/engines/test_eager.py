"""What is queued on a GPU, in which order, seen on a processor that stands in for it: no test here needs a GPU."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from embedkit.encoders.engines import compiled, eager
from embedkit.encoders.preprocess import Preprocessing


class StandIn:
    """The parts of torch.cuda that are used, which write down what they are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        log = self.log

        class Stream:
            def __init__(self, device: str | None = None) -> None:
                self.name = "copying" if device else "computing"

            def wait_stream(self, other: Any) -> None:
                log.append(f"{self.name} waits for {other.name}")

        class Event:
            def __init__(self, blocking: bool) -> None:
                assert blocking

            def record(self, stream: Any) -> None:
                log.append(f"event on {stream.name}")

            def synchronize(self) -> None:
                log.append("synchronized")

        @contextmanager
        def stream(one: Any) -> Iterator[None]:
            log.append(f"on {one.name}")
            yield
            log.append(f"off {one.name}")

        @contextmanager
        def device(name: str) -> Iterator[None]:
            log.append(f"device {name}")
            yield

        to = torch.Tensor.to

        def moved(tensor: torch.Tensor, where: Any, **how: Any) -> torch.Tensor:
            if isinstance(where, str):
                log.append(f"to {where}, {how}")
                return tensor
            return to(tensor, where, **how)

        for name, value in {"Stream": Stream, "Event": Event, "stream": stream, "device": device}.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch.cuda, "current_stream", Stream)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda _, one: log.append(f"kept for {one.name}"))
        monkeypatch.setattr(torch.Tensor, "to", moved)


def test_a_gpu_copies_beside_its_work_and_the_way_back_is_queued_with_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = StandIn(monkeypatch)
    flags = []

    def compute(pixels: torch.Tensor) -> torch.Tensor:
        cudnn = torch.backends.cudnn
        flags.append((cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32))
        gpu.log.append("kernels")
        return pixels.float().mean((1, 2))

    running = eager.by_torch(compute, "cuda:1")
    batch = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(running.run(batch), batch.mean((1, 2)), rtol=1e-6)
    assert flags == [(True, True, False, False)]
    assert gpu.log == [
        "device cuda:1",
        "on copying",
        "to cuda:1, {'non_blocking': True}",
        "off copying",
        "computing waits for copying",
        "kept for computing",
        "kernels",
        "to cpu, {'non_blocking': True}",
        "event on computing",
        "synchronized",
    ]
    with running.threads() as pool:
        assert isinstance(pool, ThreadPoolExecutor)
        found = list(pool.map(running.run, [batch] * 6))
    assert all(np.array_equal(one, found[0]) for one in found)


def test_a_compiled_model_is_fed_by_as_many_threads_as_torch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    preprocessing = Preprocessing(8, 8, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3)
    monkeypatch.setattr(eager, "cores", lambda: 3)
    assert compiled.start(torch.nn.Flatten(), preprocessing, "fp32", "cpu").streams == 3
    StandIn(monkeypatch)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *_, **__: module)
    assert compiled.start(torch.nn.Flatten(), preprocessing, "fp32", "cuda").streams == 2
