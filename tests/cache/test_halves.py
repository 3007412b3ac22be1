"""Vectors of half precision are a map of their file until somebody asks for them in single."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import EmbeddingSet, Store, read
from embedkit.cache.halves import Halves
from tests.cache.conftest import commit, digest_of

ROWS, COLUMNS = 2_000, 300


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float16)
    X[0, :4] = [0, -0.0, 6e-8, 65504]
    store = Store(tmp_path, "set", "enc", "k" * 16)
    numbers = list(range(ROWS))
    with store.lock():
        store.add_shard(X, [digest_of(n) for n in numbers])
    commit(store, numbers)
    return store.path, X


def held(one: EmbeddingSet) -> object:
    return vars(one)["X"]


def test_they_are_widened_when_they_are_asked_for_and_once(written: tuple[Path, np.ndarray]) -> None:
    path, X = written
    tracemalloc.start()
    try:
        found = read(path)
        assert (len(found), repr(found)) == (ROWS, f"EmbeddingSet('set', 'enc', X {ROWS} x {COLUMNS})")
        assert tracemalloc.get_traced_memory()[1] < X.nbytes / 2
    finally:
        tracemalloc.stop()
    assert isinstance(held(found), Halves)
    assert found.stored.dtype == np.float16
    np.testing.assert_array_equal(found.stored, X)
    assert found.X.dtype == np.float32
    np.testing.assert_array_equal(found.X.view(np.int32), X.astype(np.float32).view(np.int32))
    assert found.X is found.X
    assert found.stored is found.X
    with pytest.raises(ValueError, match="read-only"):
        found.X[0, 0] = 1


def test_some_rows_stay_halves_until_they_are_asked_for(written: tuple[Path, np.ndarray]) -> None:
    path, X = written
    some = read(path).select(np.array([7, 3, 3]))
    assert isinstance(held(some), Halves)
    np.testing.assert_array_equal(some.X, X[[7, 3, 3]].astype(np.float32))
    assert some.table["digest"].tolist() == [digest_of(n) for n in (7, 3, 3)]


def test_a_copy_and_a_pickle_hold_the_same(written: tuple[Path, np.ndarray]) -> None:
    path, X = written
    found = read(path)
    for other in (replace(found, provenance={}), pickle.loads(pickle.dumps(found))):
        np.testing.assert_array_equal(other.X, X.astype(np.float32))


def test_halves_that_are_given_stay_as_they_are() -> None:
    X = np.ones((3, 2), np.float16)
    assert EmbeddingSet.from_arrays(X, [0, 1, 1]).X is X
