"""Shards, merge, resume and reading."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from errno import EACCES
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import CacheError, DamagedCache, NotCached, Store, find, read, read_header, read_named
from embedkit.cache import header as header_module
from embedkit.cache import store as store_module
from tests.cache.conftest import PROVENANCE, commit, digest_of, no_failures, stamps, table_of, vectors


def test_the_merge_follows_the_table_not_the_shards(committed: Store) -> None:
    embeddings = read(committed.path)
    numbers = [3, 11, 0, 7, 7, 5]
    np.testing.assert_array_equal(embeddings.X, vectors(numbers))
    pd.testing.assert_frame_equal(embeddings.table, table_of(numbers))
    assert embeddings.provenance == PROVENANCE
    assert embeddings.targets == {"label": ("label",)}
    assert not committed.shard_folder.exists()


def test_a_second_commit_takes_vectors_from_the_file_and_new_shards(committed: Store) -> None:
    with committed.lock():
        committed.add_shard(vectors([20, 21]), [digest_of(20), digest_of(21)])
        current = committed.read()
        assert current is not None
        numbers = [21, 5, 20, 3]
        sources = [current.rows(), *committed.shards()]
        committed.commit(table_of(numbers), no_failures(), stamps(4), sources, PROVENANCE)
    np.testing.assert_array_equal(read(committed.path).X, vectors(numbers))


def test_digests_beside_the_table_give_the_file_of_a_column(committed: Store) -> None:
    table = table_of([3, 11, 0, 7, 5, 2])
    files = []
    for rows, beside in ((table, None), (table.drop(columns="digest"), table["digest"].tolist())):
        with committed.lock():
            X = np.concatenate([vectors([number]) for number in range(12)])
            shard = committed.add_shard(X, [digest_of(number) for number in range(12)])
            committed.commit(rows, no_failures(), stamps(6), [shard], PROVENANCE, beside)
        files.append(committed.path.read_bytes())
    assert files[0] == files[1]
    np.testing.assert_array_equal(read(committed.path).X, vectors([3, 11, 0, 7, 5, 2]))


def test_a_large_merge_crosses_blocks(store: Store) -> None:
    rng = np.random.default_rng(0)
    numbers = list(range(9000))
    with store.lock():
        for start in range(0, 9000, 3000):
            some = numbers[start : start + 3000]
            store.add_shard(vectors(some), [digest_of(n) for n in some])
    order = rng.permutation(9000).tolist()
    commit(store, order)
    np.testing.assert_array_equal(read(store.path).X, vectors(order))


def test_half_precision_stays_half_on_disk_and_is_read_as_float32(store: Store) -> None:
    with store.lock():
        store.add_shard(vectors([1, 2]).astype(np.float16), [digest_of(1), digest_of(2)])
    commit(store, [2, 1])
    header = read_header(store.path)
    assert (header.shape, header.dtype) == ((2, 5), np.float16)
    embeddings = read(store.path)
    assert embeddings.X.dtype == np.float32
    np.testing.assert_array_equal(embeddings.X, vectors([2, 1]).astype(np.float16))


def test_a_damaged_shard_is_dropped_and_the_others_kept(store: Store) -> None:
    with store.lock():
        good = store.add_shard(vectors([1]), [digest_of(1)])
        bad = store.add_shard(vectors([2]), [digest_of(2)])
        content = bytearray(bad.path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        bad.path.write_bytes(content)
        (store.shard_folder / ".half.h5.99.tmp").write_bytes(b"half")
        (store.shard_folder / "text.h5").write_text("not a shard")
        assert store.shards() == [good]
        assert [path.name for path in store.shard_folder.iterdir()] == [good.path.name]


def test_a_shard_that_cannot_be_read_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.lock():
        shard = store.add_shard(vectors([1]), [digest_of(1)])
        real = Path.open

        def refuse(path: Path, *arguments: str) -> object:
            if path == shard.path:
                raise PermissionError(EACCES, "Permission denied")
            return real(path, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", refuse)
            with pytest.raises(CacheError, match="Permission denied"):
                store.shards()
        assert store.shards() == [shard]


def test_what_another_encoder_writes_is_not_swept_away(store: Store) -> None:
    other = replace(store, encoder="other")
    with store.lock(), other.lock():
        other.add_shard(vectors([1]), [digest_of(1)])
        left = store.path.with_name(f".{store.path.name}.99.tmp")
        left.write_bytes(b"half")
        real = store_module.copy_vectors

        def meanwhile(*arguments: Any) -> np.ndarray:
            assert store.shards() == []
            return real(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store_module, "copy_vectors", meanwhile)
            provenance = {**PROVENANCE, "encoder": "other"}
            other.commit(table_of([1]), no_failures(), stamps(1), other.shards(), provenance)
    assert not left.exists()
    np.testing.assert_array_equal(read(other.path).X, vectors([1]))


def test_pipes_and_folders_in_the_place_of_files_are_no_trap(store: Store) -> None:
    store.shard_folder.mkdir(parents=True)
    (store.shard_folder / "folder.h5").mkdir()
    (store.path.parent / f".{store.path.name}.1.tmp").mkdir()
    os.mkfifo(store.shard_folder / "pipe.h5")
    with store.lock():
        assert store.shards() == []
    os.mkfifo(store.path)
    for reading in (store.read, lambda: read(store.path), store.damage):
        with pytest.raises(CacheError, match="is no file"):
            reading()


def test_anndata_reads_the_file(committed: Store) -> None:
    anndata = pytest.importorskip("anndata")
    adata = anndata.read_h5ad(committed.path)
    np.testing.assert_array_equal(adata.X, vectors([3, 11, 0, 7, 7, 5]))
    assert list(adata.obs["path"]) == list(table_of([0] * 6)["path"])
    assert adata.uns["embedkit"]["encoder"] == "enc"
    assert len(adata.uns["failed"]) == 0
    assert list(adata.var_names) == list("01234")


def test_h5py_alone_reads_the_file(committed: Store) -> None:
    import h5py

    with h5py.File(committed.path) as file:
        assert file.attrs["encoding-type"] == "anndata"
        assert file["X"].shape == (6, 5)
        assert file["obs/count"][:].tolist() == list(range(6))


def test_a_truncated_file_says_so(committed: Store) -> None:
    content = committed.path.read_bytes()
    committed.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedCache, match=r"damaged: \d+ bytes instead of \d+.*embedkit cache rm"):
        read(committed.path)


def test_zeroed_stretches_never_give_an_unnamed_error(committed: Store) -> None:
    content = committed.path.read_bytes()
    damaged = 0
    for start in range(512, len(content) - 64, 997):
        committed.path.write_bytes(content[:start] + b"\0" * 64 + content[start + 64 :])
        try:
            read(committed.path)
        except DamagedCache:
            damaged += 1
    assert damaged > 0


def test_an_absent_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotCached, match="no cache file"):
        read(tmp_path / "none.h5ad")


def test_find_by_name_takes_whole_names_only(tmp_path: Path) -> None:
    for name in ("a/resnet50.00aa.h5ad", "a/resnet50-v1.00aa.h5ad", "b/timm-resnet50.a1.00aa.h5ad"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in find(tmp_path, "a", "resnet50")] == ["resnet50.00aa.h5ad"]
    assert [p.name for p in find(tmp_path, encoder="timm-resnet50.a1")] == ["timm-resnet50.a1.00aa.h5ad"]
    assert len(find(tmp_path)) == 3


def test_siblings_are_files_of_other_sets_with_the_same_key(committed: Store) -> None:
    other = Store(committed.cache, "other", committed.encoder, committed.key)
    assert other.siblings() == [committed.path]
    assert committed.siblings() == []
    assert Store(committed.cache, "other", committed.encoder, "0" * 16).siblings() == []


def _hold(store: Store, held: "multiprocessing.synchronize.Event", end: "multiprocessing.synchronize.Event") -> None:
    with store.lock():
        held.set()
        end.wait(30)


def test_the_lock_is_seen_by_another_process_and_freed_by_its_death(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(store, held, end))
    holder.start()
    assert held.wait(60)
    assert store.busy()
    holder.kill()
    holder.join()
    assert not store.busy()


def _replace_when(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, replace: Callable[[], None]) -> None:
    """Have ``replace`` called once, when a function of the module has returned."""
    real, waiting = getattr(module, name), [replace]

    def then(*arguments: object) -> object:
        found = real(*arguments)
        while waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(module, name, then)


def _commit_other(store: Store, numbers: list[int]) -> None:
    with store.lock():
        store.add_shard(vectors(numbers), [digest_of(n) for n in numbers])
    commit(store, numbers)


@pytest.mark.parametrize("moment", ["_refuse_missing", "_unpack"])
def test_a_reader_of_a_file_that_is_replaced_sees_the_old_one(
    committed: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    _replace_when(monkeypatch, header_module, moment, lambda: _commit_other(committed, [20, 21, 22, 23, 24, 25]))
    old, new = read(committed.path), read(committed.path)
    # The table of either is read after this.
    committed.path.unlink()
    np.testing.assert_array_equal(old.X, vectors([3, 11, 0, 7, 7, 5]))
    assert old.table["digest"].tolist() == [digest_of(n) for n in [3, 11, 0, 7, 7, 5]]
    np.testing.assert_array_equal(new.X, vectors([20, 21, 22, 23, 24, 25]))
    assert new.table["digest"].tolist() == [digest_of(n) for n in [20, 21, 22, 23, 24, 25]]


def test_vectors_of_a_sibling_that_is_replaced_meanwhile_are_of_their_digests(
    committed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Store(committed.cache, "mine", committed.encoder, committed.key)
    _replace_when(monkeypatch, store_module, "header_of", lambda: _commit_other(committed, [7, 20, 3, 21, 22, 5]))
    wanted = {digest_of(n) for n in (7, 5, 20, 99)}
    for numbers in ([5, 7], [20, 5, 7]):
        with mine.lock():
            shards = mine.adopt(committed.path, wanted)
        assert {name.decode() for shard in shards for name in shard.digests()} == {digest_of(n) for n in numbers}
        commit(mine, numbers)
        np.testing.assert_array_equal(read(mine.path).X, vectors(numbers))


def _flip_a_vector(path: Path) -> None:
    import h5py

    with h5py.File(path) as file:
        at = file["X"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at + 5] ^= 1
    path.write_bytes(content)


def test_a_flipped_vector_is_not_merged_nor_adopted(committed: Store) -> None:
    _flip_a_vector(committed.path)
    with committed.lock(), pytest.raises(DamagedCache, match="checksum"):
        table = table_of([3, 11])
        committed.commit(table, no_failures(), stamps(2), [read_header(committed.path).rows()], PROVENANCE)
    mine = Store(committed.cache, "mine", committed.encoder, committed.key)
    with mine.lock(), pytest.raises(DamagedCache, match="checksum"):
        mine.adopt(committed.path, {digest_of(11)})


@pytest.mark.parametrize("other", [{"key": "f" * 16}, {"encoder": "other"}, {"dataset": "others"}])
def test_a_file_that_is_called_as_another_one_is_refused(committed: Store, other: dict[str, str]) -> None:
    called = replace(committed, **other)
    called.path.parent.mkdir(exist_ok=True)
    shutil.copy(committed.path, called.path)
    for reading in (called.read, lambda: read_named(called.path), lambda: read_named(called.path, slice(1))):
        with pytest.raises(CacheError, match=f"of set by enc with the key {committed.key}, not those"):
            reading()
    assert committed.read() is not None
    assert len(read_named(committed.path)) == 6


def test_a_flipped_vector_is_found_by_who_asks(committed: Store) -> None:
    intact = read(committed.path, verified=True).X.copy()
    _flip_a_vector(committed.path)
    assert (intact != read(committed.path).X).sum() == 1
    for reading in (
        lambda: read(committed.path, verified=True),
        lambda: read_named(committed.path, verified=True),
        lambda: read(committed.path, slice(None)),
    ):
        with pytest.raises(DamagedCache, match="checksum"):
            reading()
