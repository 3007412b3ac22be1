"""The footprint stays while nothing changes, and is none where it would prove nothing. Changes: tests/extraction."""

import os
from pathlib import Path

import pytest

from embedkit.datasets import dataset_footprint, footprint
from embedkit.errors import EmbedkitError
from tests.datasets.making import image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(footprint, "FRESH_NS", 0)
    for name in ("a/1.png", "b/2.png"):
        image(tmp_path / "set" / name)
    (tmp_path / "set" / "t.csv").write_text("label,path\nx,a/1.png\n")
    return tmp_path / "set"


def test_the_same_again_and_another_for_another_place(folder: Path) -> None:
    seen = {dataset_footprint(f"folder:{folder}") for _ in range(3)}
    assert len(seen) == 1
    assert None not in seen
    moved = folder.rename(folder.with_name("moved"))
    assert dataset_footprint(f"folder:{moved}") not in seen


def test_a_table_has_the_footprint_of_the_images_it_lists(folder: Path) -> None:
    table = f"csv:{folder / 't.csv'}"
    before = dataset_footprint(table)
    os.utime(folder / "b" / "2.png", (1, 1))
    assert dataset_footprint(table) == before
    os.utime(folder / "a" / "1.png", (1, 1))
    assert dataset_footprint(table) not in {before, None}
    assert dataset_footprint(table, folder.parent) is None, "the images are not under that root"


def test_another_embedkit_is_another_footprint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dataset_footprint(f"folder:{folder}")
    code = footprint._code()
    assert any(path.endswith("layouts/folder.py") for path in code)
    monkeypatch.setattr(footprint, "_code", lambda: code[1:])
    assert dataset_footprint(f"folder:{folder}") != before


@pytest.mark.parametrize("what", ["folder:{}/none", "csv:{}/none.csv", "csv:{}/a/1.png", "ham10000"])
def test_what_cannot_be_opened_has_none(what: str, folder: Path) -> None:
    assert dataset_footprint(what.format(folder), folder) is None


def test_a_table_with_an_image_that_is_absent_or_outside_has_none(folder: Path) -> None:
    for path in ("a/none.png", "../x.png", "", "a/1.png\0"):
        (folder / "t.csv").write_text(f"path,label\n{path},x\n")
        assert dataset_footprint(f"csv:{folder / 't.csv'}") is None, path


def test_an_unknown_name_is_refused(folder: Path) -> None:
    with pytest.raises(EmbedkitError, match="ham10000"):
        dataset_footprint("ham1000", folder)
