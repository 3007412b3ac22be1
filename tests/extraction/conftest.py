"""A set of small images and an empty cache."""

from pathlib import Path

import pytest

from tests.extraction.fake import MANY, write_images, write_odd_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images."""
    write_images(tmp_path / "images", 30)
    return tmp_path / "images"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MANY` images, and some that are odd."""
    folder = tmp_path_factory.mktemp("many") / "images"
    write_odd_images(folder, MANY)
    return folder
