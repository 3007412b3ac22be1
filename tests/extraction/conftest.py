"""A set of small images and an empty cache."""

from pathlib import Path

import pytest

from tests.extraction.fake import write_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty images."""
    write_images(tmp_path / "images", 30)
    return tmp_path / "images"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
