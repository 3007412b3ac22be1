"""Real photographs, small checkpoints and an empty machine, shared by the tests of the encoders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit import encoders


@pytest.fixture(scope="session")
def photos(data_root: Path) -> list[Image.Image]:
    """Two dermatoscopic images and two radiographs."""
    folders = [data_root / "ham10000", data_root / "chest_xray"]
    files = [file for folder in folders for file in sorted(folder.rglob("*.jp*g"))[:2]]
    if len(files) != 4:
        pytest.skip(f"no ham10000 and chest_xray images in {data_root}")
    return [Image.open(file).convert("RGB") for file in files]


@dataclass
class Machine:
    """A machine without a hub: its empty caches, and no folder of weights."""

    hub: Path
    torch_home: Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    from huggingface_hub import constants

    places = Machine(tmp_path / "hub", tmp_path / "torch")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(places.hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(places.torch_home))
    monkeypatch.delenv("EMBEDKIT_WEIGHTS", raising=False)
    return places


@pytest.fixture
def load() -> Callable[..., encoders.Encoder]:
    """Load an encoder from a file, as the API does, in float32 on the CPU."""

    def loader(spec: str, path: Path, precision: str = "fp32") -> encoders.Encoder:
        weights = encoders.find_weights(encoders.resolve(spec), given=path, fetch=False)
        return encoders.load_encoder(encoders.resolve(spec), weights, precision, "cpu")

    return loader


@pytest.fixture
def noise() -> Callable[[int, int], np.ndarray]:
    """Return n random images of a side, the same each time."""
    return lambda n, side: np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the smallest cosine between the rows of two sets of vectors."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
