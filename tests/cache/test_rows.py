"""Some rows of a cache file are those rows of the whole, and the rest of the file is not read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedkit import EmbedkitError
from embedkit.cache import DamagedCache, NotCached, Store, read, remove, vectors
from embedkit.cache.checked import checked_note
from embedkit.cache.sealed import read_seal
from embedkit.cache.vectors import positions, widen

N, D = 40_000, 16


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("cache"), "set", "fake", "0" * 16)
    X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float16)
    digests = [f"{number:032x}" for number in range(N)]
    ids = np.array([f"größe/{number}.png" for number in range(N)], dtype=object)
    label = np.array(["a", "b", np.nan], dtype=object)[np.arange(N) % 3]
    columns = {"id": ids, "path": ids, "label": label, "age": np.arange(N) / 2, "digest": digests}
    files = pd.DataFrame({name: np.arange(N) for name in ("size", "mtime_ns", "ctime_ns")})
    failed = pd.DataFrame(columns=["id", "path", "reason", "message"], dtype=object)
    provenance = dict.fromkeys(("name", "encoder", "key", "version"), "x") | {"dataset": {}, "configuration": {}}
    store.commit(pd.DataFrame(columns), failed, files, [store.add_shard(X, digests)], provenance)
    return store.path


@pytest.mark.parametrize(
    "rows",
    [
        slice(100, 200),
        slice(None),
        slice(-5, None),
        slice(300, 100, -7),
        slice(5, 5),
        [7, 3, 3, N - 1],
        np.array([], dtype=int),
        np.arange(N) % 1000 == 1,
        np.random.default_rng(1).permutation(N)[:500],
    ],
    ids=str,
)
def test_rows_are_those_of_the_whole(path: Path, rows: Any) -> None:
    whole, some = read(path), read(path, rows)
    np.testing.assert_array_equal(some.X, whole.X[rows])
    assert some.X.dtype == np.float32
    pd.testing.assert_frame_equal(some.table, whole.table.iloc[rows].reset_index(drop=True))
    assert (some.provenance, some.failed.equals(whole.failed)) == (whole.provenance, True)
    np.testing.assert_array_equal(vectors(path, rows), whole.X[rows].astype(np.float16))
    assert vectors(path).dtype == np.float16
    np.testing.assert_array_equal(vectors(path), whole.X.astype(np.float16))


@pytest.mark.parametrize("rows", [[N], [-1], [0.5], [[1]], np.ones(3, bool)], ids=str)
def test_rows_that_are_not_there_are_refused(path: Path, rows: Any) -> None:
    with pytest.raises(EmbedkitError, match="rows"):
        read(path, rows)
    with pytest.raises(NotCached):
        vectors(path.with_name("none.h5ad"), rows)


def _read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what is read")
def test_the_rest_is_not_read(path: Path) -> None:
    read(path, slice(0, 1))
    before = _read_bytes()
    read(path, slice(20_000, 20_010))
    assert _read_bytes() - before < path.stat().st_size / 10


def _flipped(path: Path, tmp_path: Path, at: int) -> Path:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    copy = tmp_path / path.name
    copy.write_bytes(content)
    return copy


def test_a_damaged_vector_is_found_by_whoever_reads_it(path: Path, tmp_path: Path) -> None:
    damaged = _flipped(path, tmp_path, read_seal(path).bulk_at + 500 * D * 2)
    assert len(read(damaged, slice(0, 100))) == 100
    for one in (read, vectors):
        with pytest.raises(DamagedCache, match=r"--repair|checksums"):
            one(damaged, slice(450, 550))


def test_what_was_checked_is_checked_again_when_the_file_has_changed(path: Path, tmp_path: Path) -> None:
    seal = read_seal(path)
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    read(copy, slice(0, 5))
    assert checked_note(copy).exists()
    with copy.open("r+b") as file:
        file.seek(seal.bulk_at + seal.bulk_size + 5000)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DamagedCache, match="checksum of its seal"):
        read(copy, slice(0, 5))
    checked_note(copy).write_text("nonsense")
    with pytest.raises(DamagedCache, match="checksum of its seal"):
        vectors(copy)
    remove(copy, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("numbers", ["finite", "all"])
def test_every_half_is_widened_exactly(numbers: str) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)] if numbers == "finite" else halves
    wide = np.empty(halves.shape, np.float32)
    widen(halves, wide)
    np.testing.assert_array_equal(wide.view(np.uint32), halves.astype(np.float32).view(np.uint32))
    widen(halves[:0], wide[:0])


def test_a_half_is_widened_exactly_where_subnormal_numbers_are_flushed() -> None:
    torch = pytest.importorskip("torch")
    halves = np.arange(1, 1 << 10, dtype=np.uint16).view(np.float16)
    wide, right = np.empty(halves.shape, np.float32), np.arange(1, 1 << 10) / np.float32(1 << 24)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor can't be told to")
    try:
        widen(halves, wide)
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(wide, right.astype(np.float32))


@pytest.mark.parametrize("rows", [slice(0.5, 2), slice(0, 5, 0)])
def test_a_slice_that_means_nothing_is_no_damage(rows: slice) -> None:
    with pytest.raises(EmbedkitError, match=r"rows = slice"):
        positions(rows, 9)
