"""An encoder that costs nothing and whose vectors can be checked by hand, and sets of small images."""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embedkit.datasets import ImageSet, open_dataset
from embedkit.encoders import Occasion, Preprocessing
from embedkit.extraction import Job, Report, extract

PREPROCESSING = Preprocessing(
    size=16, resize=16, resize_mode="shortest", interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3
)


@dataclass
class FakeEncoder:
    """Means and spreads of the colours: six numbers an image."""

    batches: list[int] = field(default_factory=list)
    pause: float = 0.0
    dim: int = 6
    engine: str = "torch"
    streams: int = 1

    def threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.streams)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        time.sleep(self.pause)
        pixels = np.asarray(batch).astype(np.float32)
        return np.concatenate([pixels.mean((1, 2)), pixels.std((1, 2))], axis=1)


@dataclass
class Failing(FakeEncoder):
    """Raises an error in the place of the batch after so many."""

    error: BaseException = field(default_factory=KeyboardInterrupt)
    after: int = 2

    def encode(self, batch: np.ndarray) -> np.ndarray:
        if len(self.batches) == self.after:
            raise self.error
        return super().encode(batch)


def job(encoder: FakeEncoder | None = None, dtype: str = "float32", **configuration: Any) -> Job:
    made = encoder or FakeEncoder()
    return Job(
        "fake",
        {"encoder": {"precision": "fp32"}, **configuration},
        PREPROCESSING,
        np.dtype(dtype),
        lambda: "cpu",
        lambda *_: made,
    )


def telling(encoder: FakeEncoder, told: list[str]) -> Job:
    """Return a job whose encoder, when it is loaded, tells the engine of the run that it goes on from."""

    def load(occasion: Occasion, _: str) -> FakeEncoder:
        told.append(occasion.before)
        return encoder

    return replace(job(), load=load)


def write_images(folder: Path, n: int, first: int = 0) -> None:
    for number in range(first, first + n):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        place = folder / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:05}.png")


# Several shards for each of two workers.
MANY = 1400


def write_odd_images(folder: Path, n: int) -> None:
    """Write n images, one that is broken, and one whose bytes are those of another."""
    write_images(folder, n)
    (folder / "a" / "broken.png").write_text("no image")
    (folder / "b" / "copy.png").write_bytes((folder / "a" / "00000.png").read_bytes())


def expected(dataset: ImageSet) -> np.ndarray:
    pixels = [PREPROCESSING.apply(np.array(Image.open(address).convert("RGB"))) for address in dataset.addresses()]
    return FakeEncoder().encode(np.stack(pixels))


def run(folder: Path, cache: Path, encoder: FakeEncoder | None = None, **options: Any) -> Report:
    return extract(open_dataset(f"folder:{folder}"), job(encoder), cache, workers=0, batch=8, **options)


if __name__ == "__main__":
    # A process to be killed: slow enough to be caught in the middle. Where the tests run in the background of a
    # shell, Ctrl-C is ignored, and this process would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(Path(sys.argv[1]), Path(sys.argv[2]), FakeEncoder(pause=float(sys.argv[3])))
