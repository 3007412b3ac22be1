"""``embedkit cache``."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from embedkit.cache import read
from tests.cli.conftest import Run


@pytest.fixture
def cached(embedkit: Run, tiny_model: str, images: Path) -> Path:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    [result] = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--json").results
    return Path(result["path"])


def test_ls_and_info(embedkit: Run, cached: Path) -> None:
    [item] = embedkit("cache", "ls", "--json").results
    assert (item["n"], item["d"], item["path"], len(item["failed"])) == (32, 8, str(cached), 1)
    assert str(cached) in embedkit("cache", "ls").out
    info = embedkit("cache", "info", cached).out
    assert "broken.png" in info
    assert "preprocessing" in info
    assert embedkit("cache", "info", item["data"], "--json").results[0]["key"] == item["key"]
    assert embedkit("cache", "info", f"{item['data']}/{item['encoder']}").status == 0


def test_ls_of_nothing_says_how_to_begin(embedkit: Run) -> None:
    assert "embedkit extract" in embedkit("cache", "ls").out


def test_verify_finds_one_flipped_bit_anywhere(embedkit: Run, cached: Path) -> None:
    assert embedkit("cache", "verify").status == 0
    content = bytearray(cached.read_bytes())
    with h5py.File(cached) as file:
        vectors = file["X"].id.get_offset()
    for position in (30, 600, vectors + 17, len(content) - 1):
        content[position] ^= 1
        cached.write_bytes(content)
        done = embedkit("cache", "verify", "--json")
        assert done.status == 1
        assert [item["intact"] for item in done.results] == [False]
        content[position] ^= 1
    cached.write_bytes(content)
    assert embedkit("cache", "verify").status == 0


def test_export(embedkit: Run, cached: Path, place: Path) -> None:
    embeddings = read(cached)
    for name in ("e.npz", "e.csv", "e.h5ad"):
        assert embedkit("cache", "export", cached, place / "out" / name).status == 0
    with np.load(place / "out" / "e.npz") as arrays:
        np.testing.assert_array_equal(arrays["X"], embeddings.X)
        assert arrays["label"].tolist() == embeddings.table["label"].tolist()
    table = pd.read_csv(place / "out" / "e.csv")
    np.testing.assert_allclose(table[[f"e{i}" for i in range(8)]], embeddings.X, rtol=1e-6)
    assert (place / "out" / "e.h5ad").read_bytes() == cached.read_bytes()
    done = embedkit("cache", "export", cached, place / "e.xlsx")
    assert done.status == 2
    assert ".npz" in done.err


def test_rm(embedkit: Run, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedkit("cache", "rm", cached, "--yes").status == 0
    assert not cached.exists()
