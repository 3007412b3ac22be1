"""A small real CLIP, trained once and kept outside of the repository between runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.text.tiny_clip import TinyClip, tiny_clip, usual_place


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep tests that run beside each other from waiting for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def clip(data_root: Path, weights_root: Path) -> TinyClip:
    for needed in (data_root / "ham10000", data_root / "chest_xray", weights_root / "vit-ti16.safetensors"):
        if not needed.exists():
            pytest.skip(f"no {needed}")
    return tiny_clip(usual_place(), data_root, weights_root)
