"""A small committed cache file, made of vectors that name their image."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedkit.cache import Store, cache_key

D = 5


def digest_of(number: int) -> str:
    return f"{number:032x}"


def vectors(numbers: list[int]) -> np.ndarray:
    return np.array([[n + k / 10 for k in range(D)] for n in numbers], dtype=np.float32)


def table_of(numbers: list[int]) -> pd.DataFrame:
    n = len(numbers)
    return pd.DataFrame(
        {
            "id": [f"img {i}\n\N{GREEK SMALL LETTER ALPHA}" for i in range(n)],
            "path": [f"a/b {i}.png" for i in range(n)],
            "label": pd.Series([["x", "y", np.nan][i % 3] for i in range(n)], dtype=object),
            "size/mm": np.linspace(0, 1, n),
            "age": [np.nan, *map(float, range(1, n))],
            "flag": [bool(i % 2) for i in range(n)],
            "count": np.arange(n),
            "digest": [digest_of(number) for number in numbers],
        }
    )


def no_failures() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in ("id", "path", "reason", "message")})


def stamps(n: int) -> pd.DataFrame:
    return pd.DataFrame({"size": np.arange(n), "mtime_ns": np.arange(n), "ctime_ns": np.arange(n)})


PROVENANCE = {
    "name": "set",
    "encoder": "enc",
    "key": cache_key({"a": 1}),
    "dataset": {"targets": {"label": ["label"]}, "facts": {"licence": "none"}},
    "configuration": {"encoder": {"precision": "fp32"}},
    "version": "0",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "set", "enc", cache_key({"a": 1}))


def commit(store: Store, numbers: list[int]) -> None:
    with store.lock():
        sources = store.shards()
        table = table_of(numbers)
        store.commit(table, no_failures(), stamps(len(numbers)), sources, PROVENANCE)


@pytest.fixture
def committed(store: Store) -> Store:
    with store.lock():
        for start in (0, 4, 8):
            numbers = list(range(start, start + 4))
            store.add_shard(vectors(numbers), [digest_of(n) for n in numbers])
    commit(store, [3, 11, 0, 7, 7, 5])
    return store
