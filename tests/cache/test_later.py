"""The table of a cache file is read when it is asked for, and is that of the file that was opened."""

import copy
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import DamagedCache, EmbeddingSet, Store, header, read
from embedkit.cache.checked import checked_note
from tests.cache.conftest import PROVENANCE, commit, digest_of, no_failures, stamps, table_of, vectors

NUMBERS = [3, 11, 0, 7, 7, 5]


def wanted() -> pd.DataFrame:
    return table_of(NUMBERS)


def commit_other(store: Store) -> None:
    with store.lock():
        store.add_shard(vectors([20]), [digest_of(20)])
    commit(store, [20])


def test_it_is_read_once_and_not_before(committed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, times = header._table_of, []

    def counted(*arguments: object) -> pd.DataFrame:
        times.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(header, "_table_of", counted)
    found = read(committed.path)
    assert (len(found), repr(found), found.X.shape, times) == (6, "EmbeddingSet('set', 'enc', X 6 x 5)", (6, 5), [])
    pd.testing.assert_frame_equal(found.table, wanted())
    assert found.table is found.table
    assert times == [1]


def test_it_is_of_the_file_that_was_opened(committed: Store) -> None:
    found, gone = read(committed.path), read(committed.path)
    commit_other(committed)
    pd.testing.assert_frame_equal(found.table, wanted())
    committed.path.unlink()
    pd.testing.assert_frame_equal(gone.table, wanted())


def test_a_file_that_is_overwritten_in_its_place_is_refused(committed: Store) -> None:
    found, before = read(committed.path), committed.path.read_bytes()
    commit_other(committed)
    other = committed.path.read_bytes()
    committed.path.write_bytes(before)
    found = read(committed.path)
    committed.path.write_bytes(other)
    with pytest.raises(DamagedCache, match="overwritten after it was opened"):
        assert found.table is None


def test_damage_that_came_before_is_found_at_once_and_what_comes_later_when_the_table_is_asked_for(
    committed: Store,
) -> None:
    found = read(committed.path)
    content = bytearray(committed.path.read_bytes())
    content[content.index(digest_of(11).encode())] ^= 1
    with committed.path.open("r+b") as file:
        file.write(content)
    with pytest.raises(DamagedCache, match="checksum of its seal"):
        assert found.table is None
    with pytest.raises(DamagedCache, match="checksum of its seal"):
        read(committed.path)


def test_a_note_that_the_file_was_checked_is_not_trusted_for_all_of_it(committed: Store) -> None:
    read(committed.path, rows=[0])
    note, before = checked_note(committed.path), _times(committed.path)
    content = bytearray(committed.path.read_bytes())
    content[content.index(digest_of(11).encode())] ^= 1
    with committed.path.open("r+b") as file:
        file.write(content)
    # As if a disk had flipped the bit, of which no time stamp tells.
    for old, new in zip(before, _times(committed.path), strict=True):
        note.write_text(note.read_text().replace(str(old), str(new)))
    with pytest.raises(DamagedCache, match="checksum of its seal"):
        read(committed.path)


def _times(path: Path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_ctime_ns


@pytest.mark.parametrize(
    "copied",
    [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, lambda one: replace(one, provenance={})],
    ids=["pickle", "deepcopy", "replace"],
)
def test_a_copy_has_the_table(committed: Store, copied: object) -> None:
    assert callable(copied)
    made = copied(read(committed.path))
    committed.path.unlink()
    pd.testing.assert_frame_equal(made.table, wanted())
    np.testing.assert_array_equal(made.X, vectors(NUMBERS))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forked_processes_read_it_at_once(committed: Store) -> None:
    n = 20_000
    store = Store(committed.cache, "large", "enc", committed.key)
    X, digests = np.zeros((n, 1), np.float32), [f"{number:032x}" for number in range(n)]
    rows = pd.DataFrame({"id": digests, "path": digests, "digest": digests})
    store.commit(rows, no_failures(), stamps(n), [store.add_shard(X, digests)], PROVENANCE)
    found, children = read(store.path), []
    for _ in range(4):
        if not (child := os.fork()):
            try:
                os._exit(0 if found.table.equals(rows) else 1)
            finally:
                os._exit(2)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list open files")
def test_the_file_is_let_go(committed: Store) -> None:
    def held() -> int:
        links = (entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists())
        return sum(str(committed.path) in str(link) for link in links)

    looked_at, forgotten = read(committed.path), read(committed.path)
    before = held()
    looked_at.table  # noqa: B018
    assert held() == before - 1
    del forgotten
    assert held() < before - 1


def test_anybodys_table_may_be_one(committed: Store) -> None:
    made = EmbeddingSet(vectors(NUMBERS), wanted())
    assert made.table.equals(wanted())
    with pytest.raises(TypeError, match="table"):
        EmbeddingSet(vectors(NUMBERS))  # type: ignore[call-arg]
