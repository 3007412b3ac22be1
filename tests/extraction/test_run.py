"""What is there is not done again; what is not there is never taken for there."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from embedkit import EmbedkitError
from embedkit.cache import DamagedCache, Store, read
from embedkit.datasets import open_dataset
from embedkit.extraction import Silent, extract
from tests.extraction.fake import Failing, FakeEncoder, expected, job, run, telling, write_images


def test_vectors_and_rows_follow_the_set(folder: Path, cache: Path) -> None:
    report = run(folder, cache)
    embeddings = read(report.path)
    dataset = open_dataset(f"folder:{folder}")
    np.testing.assert_array_equal(embeddings.X, expected(dataset))
    pd.testing.assert_frame_equal(embeddings.table.drop(columns="digest"), dataset.table)
    assert (report.total, report.embedded, report.reused, len(report.failed)) == (30, 30, 0, 0)


def test_again_there_is_nothing_to_do_and_no_encoder_is_loaded(folder: Path, cache: Path) -> None:
    path = run(folder, cache).path
    before = path.stat()

    def refuse() -> Any:
        raise AssertionError("the encoder was loaded")

    idle = job()
    object.__setattr__(idle, "load", refuse)
    report = extract(open_dataset(f"folder:{folder}"), idle, cache, workers=0)
    assert (report.embedded, report.reused) == (0, 30)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_ten_images_more_embed_ten(folder: Path, cache: Path) -> None:
    run(folder, cache)
    write_images(folder, 10, first=100)
    report = run(folder, cache)
    assert (report.total, report.embedded, report.reused) == (40, 10, 30)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_the_same_bytes_twice_are_embedded_once(folder: Path, cache: Path) -> None:
    for number in range(5):
        shutil.copy(folder / "a" / "00000.png", folder / "b" / f"copy{number}.png")
    report = run(folder, cache)
    assert (report.total, report.embedded) == (35, 30)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_digests_of_which_most_are_repeated_are_stored_as_categories(folder: Path, cache: Path) -> None:
    assert _kind_of_digests(run(folder, cache).path) == "string-array"
    for number in range(40):
        shutil.copy(folder / "a" / "00000.png", folder / "b" / f"copy{number}.png")
    path = run(folder, cache).path
    assert _kind_of_digests(path) == "categorical"
    np.testing.assert_array_equal(read(path).X, expected(open_dataset(f"folder:{folder}")))


def _kind_of_digests(path: Path) -> str:
    with h5py.File(path) as file:
        return str(file["obs/digest"].attrs["encoding-type"])


def test_a_moved_folder_embeds_nothing(folder: Path, cache: Path) -> None:
    run(folder, cache)
    moved = folder.rename(folder.with_name("moved"))
    report = run(moved, cache)
    assert (report.embedded, report.reused) == (0, 30)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{moved}")))


def test_removed_images_leave_the_table(folder: Path, cache: Path) -> None:
    run(folder, cache)
    (folder / "a" / "00004.png").unlink()
    report = run(folder, cache)
    assert (report.total, report.embedded) == (29, 0)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_an_image_changed_in_place_is_embedded_again(folder: Path, cache: Path) -> None:
    run(folder, cache)
    shutil.copy(folder / "b" / "00001.png", folder / "a" / "00002.png")
    write_images(folder, 1, first=200)
    (folder / "a" / "00200.png").replace(folder / "a" / "00006.png")
    report = run(folder, cache)
    assert report.embedded == 1  # the copy is known by its bytes
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_names_swapped_between_files_of_equal_size_and_time_are_noticed(folder: Path, cache: Path) -> None:
    one, two = folder / "a" / "00000.bmp", folder / "b" / "00001.bmp"
    for path in (one, two):
        Image.open(path.with_suffix(".png")).save(path)
        os.utime(path, (1e9, 1e9))
    time.sleep(2.1)  # stamps younger than two seconds are not trusted anyway
    run(folder, cache)
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    np.testing.assert_array_equal(read(run(folder, cache).path).X, expected(open_dataset(f"folder:{folder}")))


def test_corrected_labels_reach_the_cache_without_embedding(folder: Path, cache: Path) -> None:
    table = folder / "labels.csv"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))

    def write(label: str) -> None:
        table.write_text(
            "path,label\n" + "".join(f"{name},{label if i else 'first'}\n" for i, name in enumerate(names))
        )

    write("wrong")
    extract(open_dataset(f"csv:{table}"), job(), cache, workers=0)
    write("right")
    report = extract(open_dataset(f"csv:{table}"), job(), cache, workers=0)
    assert report.embedded == 0
    assert set(read(report.path).table["label"]) == {"first", "right"}


def test_broken_images_are_listed_and_tried_again(folder: Path, cache: Path) -> None:
    (folder / "a" / "broken.png").write_bytes((folder / "a" / "00000.png").read_bytes()[:100])
    (folder / "a" / "empty.png").touch()
    (folder / "b" / "text.jpg").write_text("no image")
    report = run(folder, cache)
    assert report.embedded == 30
    assert sorted(report.failed["path"]) == ["a/broken.png", "a/empty.png", "b/text.jpg"]
    stored = read(report.path)
    assert stored.failed.equals(report.failed)
    assert len(stored) == 30
    assert set(stored.table["path"]).isdisjoint(report.failed["path"])

    idle = FakeEncoder()
    again = run(folder, cache, idle)
    assert (again.embedded, idle.batches) == (0, [])
    assert again.failed.equals(report.failed)

    write_images(folder, 1, first=300)
    (folder / "a" / "00300.png").replace(folder / "a" / "broken.png")
    mended = run(folder, cache)
    assert mended.embedded == 1
    assert sorted(mended.failed["path"]) == ["a/empty.png", "b/text.jpg"]
    kept = open_dataset(f"folder:{folder}")
    good = kept.table["path"].isin(read(mended.path).table["path"]).to_numpy()
    assert good.sum() == 31


def test_a_cache_that_can_only_be_read_is_used_though_an_image_failed(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a" / "empty.png").touch()
    first = run(folder, cache)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Store, "lock", lambda *_: pytest.fail("the lock was asked for"))
    again = run(folder, cache)
    assert (again.embedded, again.reused) == (0, 30)
    assert again.failed.equals(first.failed)


def test_no_readable_image_is_an_error_and_leaves_no_file(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "x.png").write_text("no image")
    with pytest.raises(EmbedkitError, match=r"none of the 1 images.*x\.png"):
        run(tmp_path / "images", cache)
    assert list(cache.rglob("*.h5ad")) == []


def test_vectors_that_are_not_finite_are_failures(folder: Path, cache: Path) -> None:
    class Overflowing(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            X = super().encode(batch)
            X[X[:, 0] > np.median(X[:, 0])] = 1e6  # beyond float16
            return X

    dataset = open_dataset(f"folder:{folder}")
    report = extract(dataset, job(Overflowing(), "float16"), cache, workers=0, batch=10)
    assert len(report.failed) == 15
    assert set(report.failed["reason"]) == {"not finite"}
    assert report.failed["message"].str.contains("--precision fp32").all()
    assert np.isfinite(read(report.path).X).all()


def test_batch_and_workers_change_neither_key_nor_vectors(folder: Path, tmp_path: Path) -> None:
    write_images(folder, 80, first=400)
    dataset = open_dataset(f"folder:{folder}")
    paths = [
        extract(dataset, job(), tmp_path / f"cache{number}", **options).path
        for number, options in enumerate(({"workers": 0, "batch": 7}, {"workers": 2, "batch": 32}))
    ]
    assert paths[0].name == paths[1].name
    np.testing.assert_array_equal(read(paths[0]).X, read(paths[1]).X)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": -2}, {"workers": -1}])
def test_less_than_one_at_once_is_refused(folder: Path, cache: Path, wrong: dict[str, int]) -> None:
    [name] = wrong
    with pytest.raises(EmbedkitError, match=f"{name} = .* is too small"):
        extract(open_dataset(f"folder:{folder}"), job(), cache, **wrong)
    assert not list(cache.rglob("*.h5ad"))


def test_every_batch_has_the_same_shape(folder: Path, cache: Path) -> None:
    encoder = FakeEncoder()
    run(folder, cache, encoder)
    assert encoder.batches == [8, 8, 8, 8]


def test_another_configuration_is_another_file(folder: Path, cache: Path) -> None:
    dataset = open_dataset(f"folder:{folder}")
    one = extract(dataset, job(weights="1"), cache, workers=0)
    two = extract(dataset, job(weights="2"), cache, workers=0)
    assert one.path != two.path
    assert two.embedded == 30


def test_a_column_named_digest_is_refused(folder: Path, cache: Path) -> None:
    (folder / "t.csv").write_text("path,digest\na/00000.png,x\n")
    with pytest.raises(EmbedkitError, match=r"column 'digest'.*rename"):
        extract(open_dataset(f"csv:{folder / 't.csv'}"), job(), cache, workers=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EmbedkitError("broken"), RuntimeError("out of memory")])
def test_what_is_encoded_before_an_error_is_kept(folder: Path, cache: Path, error: BaseException) -> None:
    with pytest.raises((EmbedkitError, type(error))):
        run(folder, cache, Failing(error=error))
    report = run(folder, cache)
    assert (report.embedded, report.reused) == (14, 16)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))


def test_a_run_that_goes_on_is_told_of_the_engine_before_and_both_are_named(
    folder: Path, cache: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    dataset = open_dataset(f"folder:{folder}")
    with pytest.raises(EmbedkitError):
        extract(dataset, telling(Failing(engine="openvino"), told), cache, workers=0, batch=8)
    report = extract(dataset, telling(FakeEncoder(engine="torch"), told), cache, workers=0, batch=8)
    assert told == ["", "openvino"]
    assert report.engine == "torch"
    assert read(report.path).provenance["engine"] == "openvino, torch"
    # Of vectors that are taken over from another set too.
    moved = extract(open_dataset(f"folder:{folder.rename(tmp_path / 'moved')}"), job(), cache, workers=0)
    assert moved.embedded == 0
    assert read(moved.path).provenance["engine"] == "openvino, torch"


def _flip_a_vector(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        content[file["X"].id.get_offset() + 1] ^= 1
    path.write_bytes(content)


def test_vectors_of_a_damaged_sibling_are_not_taken(folder: Path, cache: Path) -> None:
    _flip_a_vector(run(folder, cache).path)
    report = run(folder.rename(folder.with_name("moved")), cache)
    assert (report.embedded, report.reused) == (30, 0)


def test_vectors_of_a_file_that_is_called_as_another_one_are_not_taken(folder: Path, cache: Path) -> None:
    """They are of another encoder, and the seal of the file that takes them would be whole."""
    theirs = run(folder, cache).path
    told: list[str] = []

    class Told(Silent):
        def note(self, text: str) -> None:
            told.append(text)

    class Other(FakeEncoder):
        def encode(self, batch: np.ndarray) -> np.ndarray:
            return super().encode(batch) + 1

    other = job(Other(), changed=True)
    copies = folder.with_name("copies")
    shutil.copytree(folder, copies)
    dataset = open_dataset(f"folder:{copies}")
    shutil.copy(theirs, theirs.with_name(f"fake.{other.key}.h5ad"))
    report = extract(dataset, other, cache, workers=0, progress=Told())
    assert (report.embedded, report.reused) == (30, 0)
    assert any("left aside" in text and "not those that it is called by" in text for text in told)
    np.testing.assert_array_equal(read(report.path).X, expected(dataset) + 1)
    # Nor those whose checksums hold, where it is damaged.
    shutil.copy(theirs, report.path)
    _flip_a_vector(report.path)
    repaired = extract(dataset, other, cache, workers=0, repair=True)
    assert (repaired.embedded, repaired.reused) == (30, 0)
    np.testing.assert_array_equal(read(repaired.path).X, expected(dataset) + 1)


def test_damage_is_not_carried_into_a_new_file(folder: Path, cache: Path) -> None:
    path = run(folder, cache).path
    _flip_a_vector(path)
    before = path.read_bytes()
    write_images(folder, 2, first=300)
    with pytest.raises(DamagedCache, match="--repair"):
        run(folder, cache)
    assert path.read_bytes() == before
    report = run(folder, cache, repair=True)
    assert (report.total, report.embedded) == (32, 1)
    np.testing.assert_array_equal(read(report.path).X, expected(open_dataset(f"folder:{folder}")))
