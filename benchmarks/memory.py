"""Peak memory of an extraction of many images beside that of a tenth of them, and what writing costs of its time.

    python benchmarks/memory.py --n 100000
    python benchmarks/memory.py --n 20000 --model vit-ti16

The images are PNG files of 32 pixels a side, and the encoder averages colours into 512 numbers: so the run is all
reading, writing and bookkeeping. With ``--model`` it is a real one, in torch. Peaks are of the run's process, and of it
and its decoding processes together while they decode. Each run is a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embedkit import api
from embedkit.cache import Store, read
from embedkit.datasets import open_dataset
from embedkit.encoders import Preprocessing
from embedkit.extraction import Job, embedding_cost, extract

D = 512
PREPROCESSING = Preprocessing(
    size=32, resize=32, resize_mode="shortest", interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3
)


class Averages:
    """Vectors of 512 numbers at no cost to speak of."""

    dim, streams, engine = D, 1, "torch"

    def threads(self) -> ThreadPoolExecutor:
        """Return the one thread that encodes."""
        return ThreadPoolExecutor(self.streams)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Return averages of stretches of an image, repeated."""
        return np.resize(batch.reshape(len(batch), -1)[:, :D].astype(np.float32), (len(batch), D))


def write_images(folder: Path, n: int) -> None:
    """Write PNG files, all of them different, a thousand to a folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for number in range(n):
        pixels[0, 0], pixels[0, 1, 0] = (number % 256, number // 256 % 256, number // 65_536), 7
        place = folder / f"{number // 1000:04}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:07}.png", compress_level=1)


def job_of(model: str) -> Job:
    """Return that of a real encoder, or of the averages where none is named."""
    if model:
        return api.job_for(model, engine="torch")
    return Job("averages", {"encoder": {}}, PREPROCESSING, np.dtype(np.float16), lambda: "cpu", lambda *_: Averages())  # type: ignore[arg-type, return-value]


def once(folder: Path, cache: Path, workers: int, model: str) -> None:
    """Extract, and print images, peak in bytes, seconds of the run, of its shards and of its merge."""
    spent = {"add_shard": 0.0, "commit": 0.0}

    def timed(name: str) -> Callable[..., Any]:
        method = getattr(Store, name)

        def call(*words: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*words)
            finally:
                spent[name] += time.perf_counter() - begun

        return call

    for name in spent:
        setattr(Store, name, timed(name))
    report = extract(open_dataset(f"folder:{folder}"), job_of(model), cache, workers=workers)
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cost = embedding_cost(read(report.path, slice(0, 1)).provenance)
    assert cost is not None
    print(json.dumps([report.embedded, mine, cost.cost.peak_memory_bytes, report.seconds, *spent.values()]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=90, help="images/s of an encoder, of which writing is a share")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default="", help="a real encoder, instead of one that costs nothing")
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        for n in (arguments.n // 10, arguments.n):
            write_images(Path(place) / str(n), n)
            words = [str(Path(place) / str(n)), str(Path(place) / f"cache{n}"), str(arguments.workers), arguments.model]
            command = [sys.executable, __file__, "--once", *words]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            images, mine, all_of_them, seconds, shards, merge = json.loads(done.stdout)
            peaks.append(max(mine, all_of_them))
            print(
                f"{images:,} images: {seconds:.1f} s ({images / seconds:.0f} images/s), "
                f"peak {mine / 2**20:.0f} MB, with decoders {all_of_them / 2**20:.0f} MB, "
                f"shards {shards:.2f} s, merge {merge:.2f} s: "
                f"{1e6 * (shards + merge) / images:.0f} us an image"
            )
    share = (shards + merge) / images * arguments.rate
    print(f"at {arguments.rate:g} images/s, shards and merge are {100 * share:.1f} % of the time")
    more = peaks[1] - peaks[0]
    print(f"ratio of the peaks {peaks[1] / peaks[0]:.3f}, {more / (arguments.n * 0.9):.0f} bytes an image more")
