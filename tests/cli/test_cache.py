"""``embedkit cache``."""

import csv
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from embedkit.cache import read, store_of
from tests.cli.conftest import Run


@pytest.fixture
def cached(embedkit: Run, tiny_model: str, images: Path) -> Path:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    [result] = embedkit("extract", "--model", tiny_model, "--data", f"folder:{images}", "--json").results
    return Path(result["path"])


def test_ls_and_info(embedkit: Run, cached: Path) -> None:
    [item] = embedkit("cache", "ls", "--json").results
    assert (item["n"], item["d"], item["path"], len(item["failed"])) == (32, 8, str(cached), 1)
    listed = embedkit("cache", "ls").out
    assert str(cached) in listed
    assert "decoder" in listed
    assert item["decoder"] == "full"
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


def _vectors_at(path: Path) -> tuple[int, int]:
    with h5py.File(path) as file:
        return file["X"].id.get_offset(), file["X"].id.get_storage_size()


def test_repair_embeds_only_what_is_lost(embedkit: Run, cached: Path, tiny_model: str, images: Path) -> None:
    whole, before = read(cached), cached.read_bytes()
    # They are a map of the file, which is about to be written over.
    vectors = whole.X.tobytes()
    at, size = _vectors_at(cached)
    row = size // len(whole)
    words = ("cache", "verify", "--repair", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    cuts = {
        "two vectors": (lambda b: _flipped(b, at + 3, at + 5 * row + 1), 2),
        "the seal's padding": (lambda b: _flipped(b, 500), 0),
        "the seal": (lambda b: _flipped(b, 60), 32),
        "the version": (lambda b: b.replace(b"format 1", b"format 3", 1), 32),
        "the table": (lambda b: _flipped(b, len(b) - 9), 32),
        "the end": (lambda b: b[:-1], 32),
        "everything": (lambda _: b"", 32),
    }
    for what, (change, lost) in cuts.items():
        cached.write_bytes(change(before))
        assert embedkit("cache", "verify").status == 1, what
        done = embedkit(*words)
        assert done.status == 0, what
        assert [(item["repaired"], item["embedded"]) for item in done.results] == [(True, lost)], what
        again = read(cached)
        assert again.X.tobytes() == vectors, what
        assert again.table.equals(whole.table), what
        assert embedkit("cache", "verify").status == 0, what
    assert embedkit(*words).results == [{"path": str(cached), "intact": True, "why": ""}]


def _flipped(content: bytes, *positions: int) -> bytes:
    changed = bytearray(content)
    for position in positions:
        changed[position] ^= 4
    return bytes(changed)


def test_repair_says_what_it_must_be_told(embedkit: Run, cached: Path, tiny_model: str, images: Path) -> None:
    damaged = _flipped(cached.read_bytes(), _vectors_at(cached)[0])
    cached.write_bytes(damaged)
    for words, said in (((), "--data"), (("--data", f"folder:{images}"), "--model")):
        done = embedkit("cache", "verify", "--repair", *words)
        assert done.status == 1
        assert said in done.err
        assert cached.read_bytes() == damaged


def test_verify_reads_the_shards_of_unfinished_runs(embedkit: Run, cached: Path) -> None:
    store = store_of(cached)
    shard = store.add_shard(np.ones((3, 4), np.float32), ["a", "b", "c"]).path
    whole = shard.read_bytes()
    assert [item["intact"] for item in embedkit("cache", "verify", "--json").results] == [True, True]
    for content in (_flipped(whole, _vectors_at(shard)[0]), whole[:-1], b""):
        shard.write_bytes(content)
        for files in ((), (cached,)):
            done = embedkit("cache", "verify", *files)
            assert done.status == 1
            assert str(shard) in done.err
    assert embedkit("cache", "verify", "--repair").status == 0
    assert not shard.exists()


@pytest.mark.parametrize("where", [".", ".shards"])
def test_a_file_is_named_from_inside_the_cache(
    embedkit: Run, cached: Path, tiny_model: str, images: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    cached = cached.absolute()
    at, _ = _vectors_at(cached)
    (cached.parent / ".shards").mkdir(exist_ok=True)
    monkeypatch.chdir(cached.parent / where)
    name = os.path.relpath(cached)
    assert embedkit("cache", "verify", name, "--json").results == [{"path": str(cached), "intact": True, "why": ""}]
    assert embedkit("cache", "info", name, "--json").results[0]["path"] == str(cached)
    assert embedkit("cache", "export", name, "here.npz").status == 0
    assert (cached.parent / where / "here.npz").exists()
    cached.write_bytes(_flipped(cached.read_bytes(), at))
    told = ("--model", tiny_model, "--data", f"folder:{images}", "--json")
    [item] = embedkit("cache", "verify", "--repair", name, *told).results
    assert (item["repaired"], item["embedded"]) == (True, 1)
    assert embedkit("cache", "verify", name).status == 0
    assert embedkit("cache", "rm", "--yes", name).status == 0
    assert not cached.exists()


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


def test_a_damaged_vector_is_neither_exported_nor_probed(
    embedkit: Run, cached: Path, tiny_model: str, images: Path, place: Path
) -> None:
    probe = ("probe", "--model", tiny_model, "--data", f"folder:{images}", "--target", "label")
    # One image is broken.
    assert embedkit(*probe).status == 1
    content = bytearray(cached.read_bytes())
    content[_vectors_at(cached)[0] + 17] ^= 1
    cached.write_bytes(content)
    for words in (("cache", "export", cached, place / "e.npz"), (*probe, "--seed", 1)):
        done = embedkit(*words)
        assert done.status == 2
        assert "checksum" in done.err
        assert "embedkit cache verify FILE --repair" in done.err
    assert not (place / "e.npz").exists()


def test_export_of_columns_with_awkward_names(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    names = ["file", "X", "_X", "a/b", "a\N{FRACTION SLASH}b", "allow_pickle", "e0"]
    rows = "".join(f"{p.relative_to(images)},{','.join(names)}\n" for p in sorted(images.rglob("*.png")))
    (images / "t.csv").write_text(f"path,{','.join(names)}\n{rows}", encoding="utf-8")
    [result] = embedkit("extract", "--model", tiny_model, "--data", f"csv:{images / 't.csv'}", "--json").results
    embeddings = read(Path(result["path"]))
    assert set(names) < set(embeddings.table.columns)
    assert embedkit("cache", "export", result["path"], place / "e.npz").status == 0
    with np.load(place / "e.npz") as arrays:
        np.testing.assert_array_equal(arrays["X"], embeddings.X)
        assert set(arrays["file"]) == {"file"}
        assert set(arrays["_X"]) == {"_X"}
        assert set(arrays["__X"]) == {"X"}
    assert embedkit("cache", "export", result["path"], place / "e.csv").status == 0
    table = pd.read_csv(place / "e.csv")
    np.testing.assert_allclose(table["_e0"], embeddings.X[:, 0], rtol=1e-6)


def test_an_exported_csv_has_the_rows_and_texts_of_the_table(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    awkward = ["a\rb", "a\nb", "a\r\nb", 'say "a"', "a,b", " a "]
    paths = sorted(str(path.relative_to(images)) for path in images.rglob("*.png"))[: len(awkward)]
    table = pd.DataFrame({"path": paths, "text": awkward, "number": range(len(awkward))})
    table.to_csv(images / "t.csv", index=False, quoting=csv.QUOTE_ALL)
    [result] = embedkit("extract", "--model", tiny_model, "--data", f"csv:{images / 't.csv'}", "--json").results
    embeddings = read(Path(result["path"]))
    assert embeddings.table["text"].tolist() == awkward
    assert embedkit("cache", "export", result["path"], place / "e.csv").status == 0
    with (place / "e.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert [row[header.index("text")] for row in rows] == awkward
    again = pd.read_csv(place / "e.csv")
    assert again["text"].tolist() == awkward
    assert again["number"].tolist() == embeddings.table["number"].tolist()
    np.testing.assert_allclose(again[[f"e{i}" for i in range(8)]], embeddings.X, rtol=1e-6)


def test_rm_leaves_what_is_not_a_cache(embedkit: Run, cached: Path, place: Path) -> None:
    for name in ("precious.txt", "theirs.h5ad"):
        (place / name).write_text("not yours to remove")
        done = embedkit("cache", "rm", "--yes", place / name)
        assert done.status == 2
        assert "it is left as it is" in done.err or "neither a file" in done.err
        assert (place / name).exists()
    assert embedkit("cache", "rm", "--yes", "*").status == 2
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


def test_an_export_into_the_name_of_a_folder_is_a_sentence(embedkit: Run, cached: Path, place: Path) -> None:
    (place / "all.csv").mkdir()
    done = embedkit("cache", "export", cached, "all.csv")
    assert done.status == 2
    assert "all.csv is a folder" in done.err


def test_an_export_that_can_not_be_written_is_a_sentence(embedkit: Run, cached: Path, place: Path) -> None:
    for to in ("/dev/full/x.npz", "/proc/x.csv", "/proc/nowhere/x.h5ad", f"{'x' * 252}.npz"):
        done = embedkit("cache", "export", cached, to)
        assert done.status == 2
        assert f"can't be written to {to}" in done.err
    assert not list(place.glob("*x*.npz"))


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the size of a file is how a full disk is had")
@pytest.mark.parametrize("suffix", [".npz", ".csv", ".h5ad"])
def test_nothing_is_left_of_an_export_to_a_full_disk(embedkit: Run, cached: Path, place: Path, suffix: str) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (place / "out").mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        done = embedkit("cache", "export", cached, place / "out" / f"x{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.status == 2
    assert "File too large" in done.err
    assert not list((place / "out").iterdir())


def test_parts_of_another_decoder_are_merged(embedkit: Run, tiny_model: str, images: Path) -> None:
    words = ("--model", tiny_model, "--data", f"folder:{images}", "--decoder", "scaled")
    for part in ("1/2", "2/2"):
        assert embedkit("extract", *words, "--shard", part).status == 0
    assert embedkit("cache", "merge", *words).status == 0
