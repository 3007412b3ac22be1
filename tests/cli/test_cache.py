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


def test_export_of_columns_with_awkward_names(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    names = ["file", "X", "a/b", "a\N{FRACTION SLASH}b", "allow_pickle", "e0"]
    rows = "".join(f"{p.relative_to(images)},{','.join(names)}\n" for p in sorted(images.rglob("*.png")))
    (images / "t.csv").write_text(f"path,{','.join(names)}\n{rows}", encoding="utf-8")
    [result] = embedkit("extract", "--model", tiny_model, "--data", f"csv:{images / 't.csv'}", "--json").results
    embeddings = read(Path(result["path"]))
    assert set(names) < set(embeddings.table.columns)
    assert embedkit("cache", "export", result["path"], place / "e.npz").status == 0
    with np.load(place / "e.npz") as arrays:
        np.testing.assert_array_equal(arrays["X"], embeddings.X)
        assert set(arrays["file"]) == {"file"}
        assert set(arrays["_X"]) == {"X"}
    assert embedkit("cache", "export", result["path"], place / "e.csv").status == 0
    table = pd.read_csv(place / "e.csv")
    np.testing.assert_allclose(table["_e0"], embeddings.X[:, 0], rtol=1e-6)


def test_rm_leaves_what_is_not_a_cache(embedkit: Run, cached: Path, place: Path) -> None:
    for name in ("precious.txt", "theirs.h5ad"):
        (place / name).write_text("not yours to remove")
        assert embedkit("cache", "rm", "--yes", place / name).status == 2
        assert (place / name).exists()
    assert cached.exists()


def test_mistyped_paths_and_folders_named_like_files_are_sentences(embedkit: Run, cached: Path) -> None:
    for verb in ("info", "verify", "rm"):
        done = embedkit("cache", verb, cached.with_name("typo.h5ad"))
        assert done.status == 2
        assert "embedkit cache ls" in done.err
    (cached.parent / "folder.0.h5ad").mkdir()
    assert len(embedkit("cache", "ls", "--json").results) == 1


def test_rm(embedkit: Run, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedkit("cache", "rm", cached, "--yes").status == 0
    assert not cached.exists()
