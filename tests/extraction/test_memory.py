"""The memory of a run grows by the numbers that it holds of each image, and by nothing else."""

import gc
import resource
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.datasets import open_dataset
from embedkit.extraction import extract
from tests.extraction.fake import FakeEncoder, job

FEW, MANY = 300, 1800
D = 4096
SIZE = 128
MEGABYTE = 1 << 20


@dataclass
class WideEncoder(FakeEncoder):
    """Vectors as long as those of a large encoder."""

    dim: int = D

    def encode(self, batch: np.ndarray) -> np.ndarray:
        return np.repeat(batch[:, 0, 0, :1].astype(np.float32), D, axis=1)


def measure(folder: Path, cache: Path, workers: int) -> int:
    """Return the peak of this process in bytes after an extraction."""
    wide = job(WideEncoder())
    wide = replace(wide, preprocessing=replace(wide.preprocessing, size=SIZE, resize=SIZE))
    report = extract(open_dataset(f"folder:{folder}"), wide, cache, workers=workers, batch=32)
    assert report.embedded == report.total
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folders = {}
    for n in (FEW, MANY):
        folders[n] = tmp_path_factory.mktemp(f"images{n}")
        for number in range(n):
            Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folders[n] / f"{number:05}.bmp")
    return folders


@pytest.mark.parametrize("workers", [0, 2])
def test_the_peak_is_that_of_a_sixth_of_the_images(
    folders: dict[int, Path], tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = {}
    for n, folder in folders.items():
        command = [sys.executable, "-m", "tests.extraction.test_memory", folder, tmp_path / f"cache{n}", str(workers)]
        top = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=top, capture_output=True, text=True, check=True)
        peaks[n] = int(done.stdout)
    grown = (peaks[MANY] - peaks[FEW]) / MEGABYTE
    with capsys.disabled():
        print({n: f"{peak / MEGABYTE:.0f} MB" for n, peak in peaks.items()}, f"workers {workers}")
    pixels, vectors = (MANY - FEW) * SIZE * SIZE * 3 / MEGABYTE, (MANY - FEW) * D * 4 / MEGABYTE
    assert grown < 8, f"{grown:.1f} MB more, where pixels would be {pixels:.0f} MB and vectors {vectors:.0f} MB"


@dataclass
class Watching(FakeEncoder):
    """Notes how much memory Python holds at every 16th batch, without what is only kept to be used again."""

    held: list[int] = field(default_factory=list)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        if len(self.batches) % 16 == 15:
            gc.collect()
            self.held.append(tracemalloc.get_traced_memory()[0])
        return super().encode(batch)


def test_an_image_takes_few_bytes_while_others_are_embedded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = {}
    # The first run is there for all that it imports. When the others look, 7 batches are in no shard yet.
    for n in (512, 544, 4128):
        folder = tmp_path / f"images{n}" / "class"
        folder.mkdir(parents=True)
        for number in range(n):
            Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folder / f"{number:05}.bmp")
        encoder = Watching()
        tracemalloc.start()
        try:
            extract(open_dataset(f"folder:{folder.parent}"), job(encoder), tmp_path / f"cache{n}", workers=0, batch=32)
        finally:
            tracemalloc.stop()
        held[n] = encoder.held[-1]
    each = (held[4128] - held[544]) / (4128 - 544)
    with capsys.disabled():
        print(f"{each:.0f} bytes an image")
    # Its path, its digest, its number and its place in a table of digests; as Python objects they were 460 bytes.
    assert each < 100


if __name__ == "__main__":
    print(measure(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
