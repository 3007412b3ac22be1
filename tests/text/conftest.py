"""A small real CLIP, trained once and kept outside of the repository between runs."""

from pathlib import Path

import pytest

from tests.text.tiny_clip import TinyClip, tiny_clip, usual_place


@pytest.fixture(autouse=True, scope="module")
def alone(one_thread: None) -> None:
    """Every test of this folder trains something."""


@pytest.fixture(scope="session")
def clip(data_root: Path, weights_root: Path) -> TinyClip:
    for needed in (data_root / "ham10000", data_root / "chest_xray", weights_root / "vit-ti16.safetensors"):
        if not needed.exists():
            pytest.skip(f"no {needed}")
    return tiny_clip(usual_place(), data_root, weights_root)
