"""Vectors that are a map of their file: what can be done with them, and that their memory is given back."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import Store, blocks_of, read, take_rows
from embedkit.cache.mapped import let_go, map_vectors
from tests.cache.conftest import PROVENANCE, digest_of, no_failures, stamps, table_of, vectors

ROWS, COLUMNS = 30_000, 256


@pytest.fixture
def large(tmp_path: Path) -> np.ndarray:
    path = tmp_path / "vectors"
    values = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    path.write_bytes(b"12345678" + values.tobytes())
    with path.open("rb") as file:
        mapped = map_vectors(file, 8, values.shape, values.dtype)
    np.testing.assert_array_equal(mapped, values)
    return mapped


def commit(store: Store, numbers: list[int], dtype: type[np.floating]) -> None:
    n = len(numbers)
    shard = store.add_shard(vectors(numbers).astype(dtype), list(map(digest_of, numbers)))
    store.commit(table_of(numbers), no_failures(), stamps(n), [shard], PROVENANCE)


def is_mapped(X: object) -> bool:
    while isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        X = X.base
    return isinstance(X, np.memmap)


@pytest.mark.parametrize(("dtype", "mapped"), [(np.float32, True), (np.float16, False)])
def test_vectors_of_a_cache_are_single_and_can_not_be_written_to(
    store: Store, dtype: type[np.floating], mapped: bool
) -> None:
    commit(store, [3, 1, 2], dtype)
    X = read(store.path).X
    assert type(X) is np.ndarray
    assert X.dtype == np.float32
    assert is_mapped(X) == mapped
    np.testing.assert_array_equal(X, vectors([3, 1, 2]).astype(dtype))
    with pytest.raises(ValueError, match="read-only"):
        X[0] = 0


def test_a_map_is_of_the_file_that_was_opened(store: Store) -> None:
    commit(store, [1, 2], np.float32)
    X = read(store.path).X
    commit(store, [7, 8], np.float32)
    let_go(X)
    np.testing.assert_array_equal(X, vectors([1, 2]))
    store.path.unlink()
    let_go(X)
    np.testing.assert_array_equal(X, vectors([1, 2]))


def test_vectors_at_an_odd_place_are_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(b"123" + vectors([1, 2]).tobytes())
    with path.open("rb") as file:
        X = map_vectors(file, 3, (2, 5), np.dtype(np.float32))
    assert X.flags.aligned
    np.testing.assert_array_equal(X, vectors([1, 2]))


def test_rows_and_stretches_are_those_of_the_array(large: np.ndarray) -> None:
    rows = np.random.default_rng(0).permutation(ROWS)[:20_000]
    for X in (large, np.array(large)):
        np.testing.assert_array_equal(take_rows(X, rows), np.array(large)[rows])
        parts = list(blocks_of(X))
        assert len(parts) > 1
        np.testing.assert_array_equal(np.concatenate(parts), large)
    assert take_rows(large, np.empty(0, int)).shape == (0, COLUMNS)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell what is resident")
@pytest.mark.parametrize(
    "look",
    [
        lambda X: take_rows(X, np.arange(0, ROWS, 20)),
        lambda X: [part.sum() for part in blocks_of(X)],
    ],
)
def test_what_was_looked_at_takes_no_memory_any_more(large: np.ndarray, look: Callable[[np.ndarray], object]) -> None:
    let_go(large)
    before = _resident()
    large.sum()
    assert _resident() - before > 0.9 * large.nbytes
    look(large)
    assert _resident() - before < 0.3 * large.nbytes


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_what_was_written_to_a_map_of_ones_own_stays(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_bytes(np.zeros((4, 2), np.float32).tobytes())
    own = np.memmap(path, np.float32, "c", shape=(4, 2))
    own[1] = 5
    np.testing.assert_array_equal(take_rows(own, np.array([1])), [[5, 5]])
    assert own[1, 0] == 5
    assert np.asarray(own)[1, 1] == 5
