"""Where the real images and weights are, for every test that needs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run; `make fuzz` draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fixed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable) or default)
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set {variable} to the folder that holds them")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    # What was measured of engines on this machine must not decide how a test runs, in this process or in its children.
    os.environ["EMBEDKIT_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ.pop("EMBEDKIT_ENGINE", None)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real data sets, in the layouts in which they are published."""
    return _folder("EMBEDKIT_DATA", SHARED / "data")


@pytest.fixture(scope="session")
def weights_root() -> Path:
    """The real pretrained weights."""
    return _folder("EMBEDKIT_WEIGHTS", SHARED / "weights")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Keep tests that run beside each other from waiting for each other's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
