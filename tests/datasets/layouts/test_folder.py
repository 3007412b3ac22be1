import math
import tracemalloc
from pathlib import Path

import pytest

from embedkit import datasets
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from tests.datasets.making import image, images, write


def opened(place: Path) -> ImageSet:
    return datasets.open_dataset(f"folder:{place}")


def rows(found: ImageSet, *columns: str) -> dict[str, tuple[object, ...]]:
    """Return path -> the values of columns, None for a missing one."""
    values = found.table[list(columns)].astype(object).itertuples(index=False)
    clean = (tuple(None if isinstance(v, float) and math.isnan(v) else v for v in row) for row in values)
    return dict(zip(found.table["path"], clean, strict=True))


def test_class_folders(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "b/2.png", "a/1.png", "a/10.png"))
    assert rows(found, "id", "label") == {
        "a/1.png": ("a/1.png", "a"),
        "a/10.png": ("a/10.png", "a"),
        "b/2.png": ("b/2.png", "b"),
    }
    assert list(found.table) == ["id", "path", "label"]
    assert found.targets == {"label": ("label",)}
    assert found.facts == {"skipped": {"count": 0, "examples": []}}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "valid", "test"),
        ("train", "dev", "Test"),
    ],
)
def test_splits_above_the_classes(tmp_path: Path, train: str, val: str, test: str) -> None:
    found = opened(images(tmp_path, f"{train}/a/1.png", f"{val}/b/2.png", f"{test}/a/3.png"))
    assert rows(found, "label", "split") == {
        f"{train}/a/1.png": ("a", "train"),
        f"{val}/b/2.png": ("b", "val"),
        f"{test}/a/3.png": ("a", "test"),
    }


def test_splits_below_the_classes(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "a/train/1.png", "b/train/2.png", "a/test/3.png", "b/test/4.png"))
    assert rows(found, "label", "split") == {
        "a/test/3.png": ("a", "test"),
        "a/train/1.png": ("a", "train"),
        "b/test/4.png": ("b", "test"),
        "b/train/2.png": ("b", "train"),
    }
    assert "group" not in found.table


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "control/1.png", "test/2.png"))
    assert rows(found, "label") == {"control/1.png": ("control",), "test/2.png": ("test",)}
    assert "split" not in found.table


def test_an_unseen_set_may_be_all_test(tmp_path: Path) -> None:
    assert rows(opened(images(tmp_path, "test/a/1.png")), "label", "split") == {"test/a/1.png": ("a", "test")}


def test_images_without_classes_have_no_label(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "1.png", "2.png"))
    assert list(found.table) == ["id", "path"]
    assert found.targets == {}


def test_splits_without_classes(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "train/1.png", "test/2.png"))
    assert rows(found, "split") == {"test/2.png": ("test",), "train/1.png": ("train",)}
    assert found.targets == {}


def test_a_loose_image_beside_classes_has_no_label(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "a/1.png", "x.png"))
    assert rows(found, "label") == {"a/1.png": ("a",), "x.png": (None,)}


@pytest.mark.parametrize(
    ("other", "named"), [("extra/5.png", "extra"), ("overview.png", "images in no folder"), ("extra/c/5.png", "extra")]
)
def test_splits_beside_something_else_are_refused(tmp_path: Path, other: str, named: str) -> None:
    images(tmp_path, "train/a/1.png", "test/a/2.png", other)
    with pytest.raises(EmbedkitError, match=rf"splits \(test, train\) beside {named}: move these"):
        opened(tmp_path)


def test_deeper_folders_belong_to_the_class(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "train/a/x/y/1.png", "train/a/2.png", "test/b/z/3.png"))
    assert rows(found, "label", "split") == {
        "test/b/z/3.png": ("b", "test"),
        "train/a/2.png": ("a", "train"),
        "train/a/x/y/1.png": ("a", "train"),
    }
    assert "group" not in found.table


@pytest.mark.parametrize("split", ["", "train/"])
def test_patients_between_class_and_image(tmp_path: Path, split: str) -> None:
    names = ("a/p1/1.png", "a/p1/2.png", "a/p2/x/3.png", "b/p3/4.png")
    found = opened(images(tmp_path, *(split + name for name in names)))
    assert found.table["group"].tolist() == ["p1", "p1", "p2", "p3"]
    assert found.facts["group"] == "the folder between class and image"


def test_one_image_beside_the_patients_and_there_are_none(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "a/p1/1.png", "a/p2/2.png", "b/p3/3.png", "b/4.png"))
    assert "group" not in found.table


def test_one_folder_in_each_class_is_no_patient(tmp_path: Path) -> None:
    found = opened(images(tmp_path, "a/images/1.png", "a/images/2.png", "b/images/3.png"))
    assert "group" not in found.table


def test_groups_from_a_table(tmp_path: Path) -> None:
    images(tmp_path, "a/1.png", "b/2.png")
    write(tmp_path / "groups.csv", "path,group\n./a/1.png,007\nb\\2.png,NA\nelsewhere.png,x\n")
    found = opened(tmp_path)
    assert rows(found, "group") == {"a/1.png": ("007",), "b/2.png": ("NA",)}
    assert found.facts["group"] == "from groups.csv"
    assert found.facts["skipped"]["count"] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,group\na/1.png,x\n", "gives no group for 1 of 2 images, such as b/2.png: add a row"),
        ("path,group\na/1.png,x\nb/2.png,\n", "gives no group for 1 of 2 images"),
        ("path,group\na/1.png,x\na/1.png,y\nb/2.png,z\n", "line 3: 'a/1.png' has another group further up"),
        ("file,group\na,b\n", "has no column 'path'"),
    ],
)
def test_groups_that_are_not_right(tmp_path: Path, text: str, message: str) -> None:
    images(tmp_path, "a/1.png", "b/2.png")
    write(tmp_path / "groups.csv", text)
    with pytest.raises(EmbedkitError, match=message) as caught:
        opened(tmp_path)
    assert str(tmp_path / "groups.csv") in str(caught.value)


def test_frames_become_rows(tmp_path: Path) -> None:
    image(tmp_path / "a/scan.tif", frames=2)
    image(tmp_path / "b/single.tif")
    write(tmp_path / "groups.csv", "path,group\na/scan.tif,p1\nb/single.tif,p2\n")
    found = opened(tmp_path)
    assert rows(found, "id", "label", "group") == {
        "a/scan.tif#frame=0": ("a/scan.tif#frame=0", "a", "p1"),
        "a/scan.tif#frame=1": ("a/scan.tif#frame=1", "a", "p1"),
        "b/single.tif": ("b/single.tif", "b", "p2"),
    }
    assert list(found.table.index) == [0, 1, 2]


def test_real_dicom(data_root: Path) -> None:
    found = opened(data_root / "dicom")
    assert len(found) == 6 + 30
    assert found.table["path"].str.startswith("examples_ybr_color.dcm#frame=").sum() == 30


def test_what_is_no_image_is_counted(tmp_path: Path) -> None:
    images(tmp_path, "a/1.png")
    for other in ("a/1.txt", "a/.DS_Store", "Thumbs.db"):
        write(tmp_path / other, "x")
    found = opened(tmp_path)
    assert len(found) == 1
    assert found.facts["skipped"] == {"count": 3, "examples": ["Thumbs.db", "a/.DS_Store", "a/1.txt"]}


def test_an_empty_image_stays_a_row(tmp_path: Path) -> None:
    images(tmp_path, "a/1.png")
    (tmp_path / "a/0.png").touch()
    assert opened(tmp_path).table["path"].tolist() == ["a/0.png", "a/1.png"]


def test_a_missing_folder_names_the_closest(tmp_path: Path) -> None:
    images(tmp_path, "scans/a/1.png")
    with pytest.raises(EmbedkitError, match=rf"there is no folder {tmp_path}/scan\. Did you mean scans\?"):
        opened(tmp_path / "scan")
    with pytest.raises(EmbedkitError, match=r"there is no folder .*/zzz\. .* holds 1 other entries \(scans\)"):
        opened(tmp_path / "zzz")
    with pytest.raises(EmbedkitError, match=r"there is no folder .*holds nothing"):
        opened(tmp_path / "not" / "there")


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"t\.csv is a file: write csv:.*t\.csv"):
        opened(write(tmp_path / "t.csv", "path\n"))
    with pytest.raises(EmbedkitError, match=r"1\.png is a file: name the folder it lies in"):
        opened(image(tmp_path / "1.png"))


def test_a_folder_without_images_says_what_it_saw(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"no images in .*: saw nothing") as caught:
        opened(tmp_path)
    assert ".dcm" in str(caught.value)
    for name in "abcdefg":
        write(tmp_path / f"{name}.txt", "")
    with pytest.raises(EmbedkitError, match=r"saw 7 other entries \(a.txt, b.txt, c.txt, d.txt, e.txt, \.\.\.\)"):
        opened(tmp_path)


def test_a_name_too_long_for_the_disk(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"can't look at .*File name too long"):
        opened(tmp_path / ("x" * 300))


def test_a_catalog_row_is_all_that_a_set_of_class_folders_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    card = replace(datasets.catalog()["chest-xray"], layout="folder", targets={"label": ("label",)})
    monkeypatch.setattr("embedkit.datasets.open.catalog", lambda: {card.name: card})
    images(tmp_path / "chest_xray", "train/NORMAL/1.png", "test/PNEUMONIA/2.png")
    found = datasets.open_dataset("chest-xray", tmp_path)
    assert found.table["split"].tolist() == ["test", "train"]
    assert found.facts["licence"] == "CC BY 4.0"


def test_a_million_files_would_take_no_more_than_half_a_gigabyte(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 8_000):
        folder = tmp_path / str(count)
        for number in range(count):
            patient = folder / f"class{number % 4}" / f"patient{number // 40}"
            patient.mkdir(parents=True, exist_ok=True)
            (patient / f"image{number:07d}.png").touch()
        tracemalloc.start()
        assert len(datasets.open_dataset(f"folder:{folder}").table) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 6_000 < 500
