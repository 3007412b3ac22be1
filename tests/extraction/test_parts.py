"""Parts of a set on several machines, merged to the file of one run."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit import EmbedkitError, images
from embedkit.cache import CacheError, Store, read, store_of
from embedkit.cache import store as store_module
from embedkit.datasets import open_dataset
from embedkit.extraction import Report, Silent, extract, plan
from tests.extraction.fake import FakeEncoder, job, run, write_odd_images

ROWS = 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_odd_images(tmp_path / "images", ROWS)
    # Files are two seconds old before their stamps are trusted; the tests do not wait for that.
    monkeypatch.setattr(plan, "FRESH_NS", 0)
    return tmp_path / "images"


def _part(folder: Path, cache: Path, number: int, count: int, encoder: FakeEncoder | None = None) -> Report:
    return run(folder, cache, encoder, part=(number, count))


def _merge(folder: Path, cache: Path) -> Report:
    encoder = FakeEncoder()
    report = run(folder, cache, encoder, merge_only=True)
    assert encoder.batches == []
    return report


def _same(one: Report, two: Report) -> None:
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes()
    assert read(one.path).table.equals(read(two.path).table)
    assert one.ledger == two.ledger


@pytest.mark.parametrize("count", [1, 3, 30])
def test_parts_merge_to_the_file_of_one_run(
    folder: Path, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [_part(folder, tmp_path / "cache", number, count) for number in range(count, 0, -1)]
    assert sum(part.total for part in parts) == ROWS + 2
    assert sum(len(part.ledger) for part in parts) == 1
    assert not list(tmp_path.rglob("*.h5ad"))
    assert _part(folder, tmp_path / "cache", 1, count).embedded == 0
    monkeypatch.setattr(images, "digest", lambda address: pytest.fail(f"{address} was hashed though a part noted it"))
    monkeypatch.setattr(plan, "_digest", lambda address: None if "broken" in address else pytest.fail(address))
    merged = _merge(folder, tmp_path / "cache")
    monkeypatch.undo()
    _same(merged, run(folder, tmp_path / "other"))
    assert not list(tmp_path.rglob(".shards/*"))


def test_notes_that_are_damaged_or_old_cost_a_hash(folder: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        _part(folder, tmp_path / "cache", number, 2)
    one, two = sorted((tmp_path / "cache").rglob("rows.json"))
    one.write_text(one.read_text()[:-9])
    checksum, _, text = two.read_text().partition("\n")
    noted = json.loads(text)
    # The images of these files would get each other's vectors.
    for row, (*_, digest) in zip(noted["data"], noted["data"][1:] + noted["data"][:1], strict=True):
        row[-1] = digest
    two.write_text(f"{checksum}\n{json.dumps(noted)}")
    _same(_merge(folder, tmp_path / "cache"), run(folder, tmp_path / "other"))


def test_a_part_that_is_missing_or_lost_a_shard_is_said(folder: Path, tmp_path: Path) -> None:
    _part(folder, tmp_path / "cache", 1, 2)
    with pytest.raises(EmbedkitError, match="--shard that is missing"):
        _merge(folder, tmp_path / "cache")
    _part(folder, tmp_path / "cache", 2, 2)
    shard = next((tmp_path / "cache").rglob("2-of-2/*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(EmbedkitError, match="--shard that is missing"):
        _merge(folder, tmp_path / "cache")
    # A run of the whole embeds what is left.
    whole = run(folder, tmp_path / "cache")
    assert 0 < whole.embedded < ROWS
    _same(whole, run(folder, tmp_path / "other"))


@pytest.mark.parametrize("other", [_merge, lambda folder, cache: _part(folder, cache, 1, 1)])
def test_the_same_part_twice_is_done_once_and_a_merge_waits_for_it(
    folder: Path, tmp_path: Path, other: Callable[[Path, Path], Report]
) -> None:
    reports: list[Report] = []
    begun, go = threading.Event(), threading.Event()

    class Waiting(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            begun.set()
            assert go.wait(30)
            return super().encode(batch)

    first = threading.Thread(target=lambda: reports.append(_part(folder, tmp_path, 1, 1, Waiting())))
    second = threading.Thread(target=lambda: reports.append(other(folder, tmp_path)))
    first.start()
    assert begun.wait(30)
    second.start()
    go.set()
    first.join()
    second.join()
    assert [report.embedded for report in reports] == [ROWS, 0]


def test_no_part_begins_while_the_whole_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_A_LOOK", 0.2)
    dataset = open_dataset(f"folder:{folder}")
    store = job().store(tmp_path, dataset.name)
    with store.lock(), pytest.raises(CacheError, match="is being written by another process"):
        extract(dataset, job(), tmp_path, workers=0, part=(1, 2))
    part = Store(store.cache, store.dataset, store.encoder, store.key, "1-of-2")
    with part.lock():
        assert part.busy()
        # A merge would wait for it.
        assert store.busy()
        assert not replace(part, part="2-of-2").busy()
    assert not store.busy()


def test_a_part_is_not_kept_out_by_one_that_looks(tmp_path: Path) -> None:
    part = Store(tmp_path, "set", "enc", "0" * 16, "1-of-2")
    whole = replace(part, part="")
    looking = threading.Event()

    def look() -> None:
        with whole.lock():
            looking.set()
            time.sleep(0.3)

    other = threading.Thread(target=look)
    other.start()
    assert looking.wait(30)
    with part.lock():
        pass
    other.join()


def test_a_merge_says_that_it_waits_for_a_part(folder: Path, tmp_path: Path) -> None:
    _part(folder, tmp_path, 1, 1)
    dataset = open_dataset(f"folder:{folder}")
    part = job().store(tmp_path, dataset.name, "1-of-1")
    told = threading.Event()

    class Told(Silent):
        def note(self, text: str) -> None:
            if "another process is extracting" in text:
                told.set()

    def merge() -> None:
        run(folder, tmp_path, merge_only=True, progress=Told())

    with part.lock():
        merging = threading.Thread(target=merge)
        merging.start()
        assert told.wait(30)
    merging.join()
    assert read(replace(part, part="").path).X.shape == (ROWS + 1, 6)


def test_shards_whose_vectors_the_file_has_are_removed_though_an_image_fails(folder: Path, tmp_path: Path) -> None:
    report = run(folder, tmp_path)
    assert len(report.ledger) == 1
    # As a run leaves it that is killed between the file and the shards.
    embeddings = read(report.path)
    store = store_of(report.path)
    shard = store.add_shard(embeddings.X, embeddings.table["digest"].tolist())
    before = report.path.stat()
    again = run(folder, tmp_path)
    assert (again.embedded, len(again.ledger)) == (0, 1)
    assert report.path.stat().st_mtime_ns == before.st_mtime_ns
    assert not shard.path.exists()
