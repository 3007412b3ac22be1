"""Nothing to do is said without opening the set, and never when there is something to do."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import DamagedCache, read, remove
from embedkit.datasets import footprint, open_dataset
from embedkit.extraction import Job, Report, extract_named, named
from tests.extraction.fake import FakeEncoder, expected, job, write_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_images(tmp_path / "images", 12)
    names = sorted(path.relative_to(tmp_path / "images").as_posix() for path in (tmp_path / "images").rglob("*.png"))
    (tmp_path / "images" / "t.csv").write_text("path,label\n" + "".join(f"{name},{name[0]}\n" for name in names))
    # Files are two seconds old before their stamps are trusted; the tests do not wait for that.
    monkeypatch.setattr(footprint, "FRESH_NS", 0)
    return tmp_path / "images"


def _run(data: str, cache: Path, encoder: Job | None = None, root: Path | None = None) -> Report:
    return extract_named(data, encoder or job(), cache, root=root, workers=0, batch=8)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sets that were opened."""
    names: list[str] = []

    def open_and_tell(data: str, root: Path | None = None) -> object:
        names.append(data)
        return open_dataset(data, root)

    monkeypatch.setattr(named, "open_dataset", open_and_tell)
    return names


@pytest.mark.parametrize("spec", ["folder:{}", "csv:{}/t.csv"])
def test_the_second_run_does_not_open_the_set(spec: str, folder: Path, cache: Path, opened: list[str]) -> None:
    data = spec.format(folder)
    first, second = _run(data, cache), _run(data, cache)
    assert opened == [data]
    assert (first.embedded, second.embedded, second.reused, second.total) == (12, 0, 12, 12)
    assert (second.path, second.data, second.model, second.key) == (first.path, first.data, first.model, first.key)
    assert len(second.failed) == 0


def _add(folder: Path) -> None:
    write_images(folder, 1, first=50)


def _remove(folder: Path) -> None:
    (folder / "a" / "00002.png").unlink()


def _rename(folder: Path) -> None:
    (folder / "a" / "00002.png").rename(folder / "a" / "00099.png")


def _swap(folder: Path) -> None:
    one, two = folder / "a" / "00000.png", folder / "b" / "00001.png"
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def _move_to_another_class(folder: Path) -> None:
    (folder / "a" / "00002.png").rename(folder / "b" / "00002.png")


def _change_bytes_and_put_the_time_back(folder: Path) -> None:
    path = folder / "a" / "00004.png"
    before = path.stat()
    content = bytearray((folder / "b" / "00005.png").read_bytes())
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _groups(folder: Path) -> None:
    rows = "".join(f"{path.relative_to(folder).as_posix()},p\n" for path in sorted(folder.rglob("*.png")))
    (folder / "groups.csv").write_text("path,group\n" + rows)


CHANGES = [_add, _remove, _rename, _swap, _move_to_another_class, _change_bytes_and_put_the_time_back, _groups]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(change: Callable[[Path], None], folder: Path, cache: Path) -> None:
    data = f"folder:{folder}"
    _run(data, cache)
    change(folder)
    stored, dataset = read(_run(data, cache).path), open_dataset(data)
    pd.testing.assert_frame_equal(stored.table.drop(columns="digest"), dataset.table)
    np.testing.assert_array_equal(stored.X, expected(dataset))


def test_a_corrected_csv_is_noticed(folder: Path, cache: Path) -> None:
    table = folder / "t.csv"
    _run(f"csv:{table}", cache)
    table.write_text(table.read_text().replace(",b", ",c"))
    assert set(read(_run(f"csv:{table}", cache).path).table["label"]) == {"a", "c"}


def test_one_table_over_two_folders_of_images(folder: Path, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    shutil.copy(other / "a" / "00000.png", other / "a" / "00002.png")
    for root in (folder, other, folder):
        stored = read(_run(f"csv:{folder / 't.csv'}", cache, root=root).path)
        np.testing.assert_array_equal(stored.X, expected(open_dataset(f"csv:{folder / 't.csv'}", root)))


def test_other_weights_are_embedded(folder: Path, cache: Path) -> None:
    data = f"folder:{folder}"
    assert [_run(data, cache, job(weights=weights)).embedded for weights in "112"] == [12, 0, 12]


def test_failed_images_are_tried_again(folder: Path, cache: Path, opened: list[str]) -> None:
    (folder / "a" / "broken.png").write_text("no image")
    data = f"folder:{folder}"
    assert [len(_run(data, cache).failed) for _ in range(2)] == [1, 1]
    assert opened == [data, data]


def test_files_that_changed_just_now_prove_nothing(
    folder: Path, cache: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "FRESH_NS", 3_600_000_000_000)
    data = f"folder:{folder}"
    assert [_run(data, cache).embedded for _ in range(2)] == [12, 0]
    assert opened == [data, data]


def test_a_cache_file_that_is_damaged_gone_or_another_is_not_taken(
    folder: Path, cache: Path, opened: list[str]
) -> None:
    data = f"folder:{folder}"
    path = _run(data, cache).path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedCache):
        _run(data, cache)
    remove(path, cache)
    assert [file for file in path.parent.iterdir() if "receipt" in file.name] == []
    assert _run(data, cache).embedded == 12
    receipt = next(file for file in path.parent.iterdir() if "receipt" in file.name)
    kept = receipt.read_bytes()
    write_images(folder, 1, first=60)
    _run(data, cache)
    shutil.copy(path, folder.parent / "newer")
    (folder / "a" / "00060.png").unlink()
    _run(data, cache)
    shutil.copy(folder.parent / "newer", path)
    opened.clear()
    assert _run(data, cache).total == 12
    assert opened == [data]
    receipt.write_bytes(kept[:-5])
    assert _run(data, cache).total == 12


def test_a_second_run_loads_no_encoder(folder: Path, cache: Path) -> None:
    encoder = FakeEncoder()
    _run(f"folder:{folder}", cache)
    _run(f"folder:{folder}", cache, job(encoder))
    assert encoder.batches == []
