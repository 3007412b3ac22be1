"""A receipt is believed only with the file that it was written for."""

import json
from pathlib import Path

import pytest

from embedkit.cache import DamagedCache, recall, remember
from embedkit.cache.receipt import receipt
from embedkit.cache.sealed import sealed_file


def _write(path: Path, number: int) -> Path:
    with sealed_file(path, 1000) as file:
        file["X"] = [[float(number)]]
    return path


def test_what_was_remembered_is_recalled(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    assert recall(path, "seen") is None
    remember(path, "seen", 7)
    assert recall(path, "seen") == 7
    assert recall(path, "other") is None
    assert {file.name for file in tmp_path.iterdir()} == {"a.h5ad", receipt(path).name}


def test_another_file_under_the_name_is_not_the_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    remember(path, "seen", 7)
    _write(path, 2)
    assert recall(path, "seen") is None
    path.unlink()
    assert recall(path, "seen") is None


def test_damage_is_said(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    remember(path, "seen", 7)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DamagedCache):
        recall(path, "seen")


@pytest.mark.parametrize("text", ["", "[", "7", "[]", '["seen", 7]', "null", "\xff"])
def test_a_receipt_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    receipt(path).write_text(text, encoding="latin-1")
    assert recall(path, "seen") is None


def test_no_receipt_where_none_can_be_written(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    receipt(path).mkdir()
    remember(path, "seen", 7)
    assert recall(path, "seen") is None
    assert not [file for file in tmp_path.iterdir() if file.is_file() and file != path]


def test_the_receipt_holds_the_seal(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5ad", 1)
    remember(path, "seen", 7)
    assert json.loads(receipt(path).read_text())[2].encode() in path.read_bytes()[:512]
