"""What `check` says of real sets, and of sets that are not right."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.datasets import catalog, check, condition
from tests.datasets.making import image, images, write
from tests.datasets.test_unpacking import zipped


def counts(found) -> dict[str, int]:
    return {finding.what: finding.count for finding in found.findings}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)).save(path)


def test_the_full_metadata_of_ham10000_says_how_many_images_are_missing(data_root: Path, tmp_path: Path) -> None:
    place = tmp_path / "ham10000"
    place.mkdir()
    (place / "HAM10000_metadata.csv").write_bytes((data_root / "ham10000/HAM10000_metadata_full.csv").read_bytes())
    for part in ("HAM10000_images_part_1", "HAM10000_images_part_2"):
        (place / part).symlink_to(data_root / "ham10000" / part)
    found = check("ham10000", tmp_path, contents=False)
    assert (found.images, found.present) == (10_015, 5_984)
    assert counts(found) == {"images listed but not there": 4_031, "images of all: 5,984 of 10,015 stated": 4_031}
    assert found.classes["nv"] == 4_323
    assert condition(catalog()["ham10000"], tmp_path) == "partly there"


def test_a_real_set_that_is_whole(data_root: Path) -> None:
    found = check("mini-mias", data_root)
    assert (found.images, found.present, found.findings) == (322, 322, [])
    assert found.classes == {"D": 112, "F": 106, "G": 104}
    assert condition(catalog()["mini-mias"], data_root) == "ready"
    assert condition(catalog()["pathmnist"], data_root) == "absent"


def test_the_same_image_twice_and_under_two_labels_and_in_two_splits(tmp_path: Path) -> None:
    for path, seed in {
        "train/a/1.png": 1,
        "train/a/2.png": 2,
        "train/a/3.png": 1,
        "train/b/4.png": 2,
        "test/b/5.png": 5,
        "test/a/6.png": 1,
    }.items():
        picture(tmp_path / path, seed)
    found = check(f"folder:{tmp_path}")
    assert counts(found) == {
        "images that are there twice or more": 2,
        "images that are there under different labels": 1,
        "images that are in more than one split": 1,
    }
    by_what = {finding.what: finding.examples for finding in found.findings}
    assert by_what["images that are there under different labels"] == ("train/a/2.png = train/b/4.png",)
    assert by_what["images that are in more than one split"] == ("test/a/6.png = train/a/1.png = train/a/3.png",)
    assert check(f"folder:{tmp_path}", contents=False).findings == []


def test_an_archive_that_was_unpacked_in_part(tmp_path: Path) -> None:
    place = tmp_path / "aptos2019"
    write(place / "train.csv", "id_code,diagnosis\na,0\nb,1\n")
    images(place, "train_images/a.png")
    zipped(place / "train_images.zip", {"a.png": "", "b.png": "", "c.png": ""})
    found = check("aptos2019", tmp_path)
    assert counts(found) == {
        "images listed but not there": 1,
        "images of all: 1 of 3,662 expected, which is not confirmed": 3_661,
        "files of train_images.zip not unpacked": 2,
    }


def test_split_files_and_files_that_are_not_there(tmp_path: Path) -> None:
    place = tmp_path / "eyepacs"
    write(place / "trainLabels.csv", "image,level\n1_left,0\n")
    images(place, "train/1_left.jpeg", "train/2_left.jpeg")
    found = counts(check("eyepacs", tmp_path))
    assert found["files of the set not there"] == 1
    assert found["images beside the listed ones, which are in no list"] == 1
    assert found["images of train: 1 of 35,126 expected, which is not confirmed"] == 35_125
    assert found["images of test: 0 of 53,576 expected, which is not confirmed"] == 53_576
    assert condition(catalog()["eyepacs"], tmp_path) == "partly there"


def test_a_set_that_cannot_be_read_is_partly_there(tmp_path: Path) -> None:
    write(tmp_path / "eyepacs/trainLabels.csv", "id_code,diagnosis\na,0\n")
    assert condition(catalog()["eyepacs"], tmp_path) == "partly there"


def test_the_same_image_twice_in_shards_is_found(tmp_path: Path) -> None:
    for name, label in (("train-0", "0"), ("test-0", "1")):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            archive.add(image(tmp_path / ".made" / "x.png"), "1.png")
            archive.add(write(tmp_path / ".made" / "x.cls", label), "1.cls")
            archive.add(write(tmp_path / ".made" / "y.cls", label), "2.cls")
    found = check(f"wds:{tmp_path}")
    assert (found.images, found.splits, found.classes) == (2, {"test": 1, "train": 1}, {"1": 1, "0": 1})
    assert counts(found) == {
        "samples of the shards without an image": 2,
        "images that are there twice or more": 1,
        "images that are there under different labels": 1,
        "images that are in more than one split": 1,
    }


def test_images_that_are_elsewhere_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "far.csv").write_text("path,label\nhttps://nowhere.invalid/a.png,a\nhttps://nowhere.invalid/b.png,b\n")
    found = check(f"csv:{tmp_path / 'far.csv'}")
    assert found.images == 2


def test_images_behind_a_protocol_that_nobody_knows_are_not_there(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "far.csv").write_text("path\nfoo://nowhere/a.png\nhttps://nowhere.invalid/b.png\n")
    found = check(f"csv:{tmp_path / 'far.csv'}")
    assert (found.images, found.present, counts(found)) == (2, 1, {"images listed but not there": 1})
    assert found.findings[0].examples == ("foo://nowhere/a.png",)


@pytest.mark.parametrize("contents", [True, False])
def test_images_without_a_byte_are_named(contents: bool, tmp_path: Path) -> None:
    picture(tmp_path / "whole.png", 1)
    write(tmp_path / "none.png", "")
    found = check(f"folder:{tmp_path}", contents=contents)
    assert (found.present, counts(found)) == (2, {"images of 0 bytes": 1})
    assert found.findings[0].examples == ("none.png",)


def test_a_member_of_a_shard_without_a_byte_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(image(tmp_path / ".made" / "x.png"), "1.png")
        archive.add(write(tmp_path / ".made" / "none.png", ""), "2.png")
    assert counts(check(f"wds:{tmp_path}")) == {"images of 0 bytes": 1}
