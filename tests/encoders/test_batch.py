"""The size of batch that is fastest, for made-up encoders whose speed depends on it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from embedkit.encoders import Encoder, Occasion, OutOfMemory, batch, best_batch

SAMPLE = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 3), np.uint8)


@dataclass
class Device:
    """Takes a time for a batch, whatever is in it, until it is full; then more for more. Holds so many images."""

    full: int
    most: int = 10**9
    engine: str = "torch"
    streams: int = 1
    card: Any = field(default_factory=lambda: SimpleNamespace(name="fake"))
    sizes: list[int] = field(default_factory=list)

    def threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1)

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise OutOfMemory("no memory")
        return images.reshape(len(images), -1).astype(np.float32)

    def rate(self, images: int) -> float:
        return images / (0.004 * max(1, images / self.full))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBEDKIT_HOME", str(tmp_path))

    # A clock would make the test one of the machine.
    def rate_of(run: Any, _threads: Any, _streams: int, images: np.ndarray, _seconds: float) -> float:
        run(images)
        rate: float = run.__self__.rate(len(images))
        return rate

    monkeypatch.setattr(batch, "rate_of", rate_of)
    return tmp_path


def best(device: Device, images: int = 10**6, said: list[str] | None = None, encoder: str = "e") -> int:
    occasion = Occasion(SAMPLE, images, (said if said is not None else []).append)
    return best_batch(cast(Encoder, device), {"source": encoder}, "gpu", occasion)


def test_it_is_doubled_while_images_come_faster() -> None:
    device, said = Device(full=16), list[str]()
    assert best(device, said=said) == 16
    assert set(device.sizes) == {4, 8, 16, 32}
    [told] = said
    assert told.startswith("fake: 16 images at a time")


def test_it_stays_where_a_larger_one_brings_nothing() -> None:
    device = Device(full=1)
    assert best(device) == 4
    assert set(device.sizes) == {4, 8}


def test_memory_ends_it() -> None:
    device = Device(full=10**9, most=20)
    assert best(device) == 16
    assert max(device.sizes) == 32


def test_it_ends_at_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_LARGEST", 8)
    assert best(Device(full=10**9)) == 8


def test_it_is_remembered_for_the_encoder_and_its_engine_even_by_a_short_run() -> None:
    assert best(Device(full=16)) == 16
    again = Device(full=16)
    assert best(again, images=5) == 16
    assert best(Device(full=8, engine="compile"), images=10**9) == 8
    assert best(Device(full=8), encoder="other") == 8
    assert again.sizes == []


def test_a_short_run_tries_nothing() -> None:
    device = Device(full=16)
    assert best(device, images=60) == 4
    assert device.sizes == []
    # At 1,000 images/s it would be over in seconds.
    assert best(device, images=5_000) == 4
    assert set(device.sizes) == {4}


def test_a_file_of_nonsense_is_measured_over(home: Path) -> None:
    assert best(Device(full=8)) == 8
    file = home / "engines.json"
    for nonsense in ('"8": NaN', '"-8": 5.0', '"x": 5.0'):
        text = file.read_text()
        file.write_text(text[: text.index('"4":')] + nonsense + "}}}")
        device = Device(full=8)
        assert best(device) == 8
        assert device.sizes
