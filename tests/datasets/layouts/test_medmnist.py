import zipfile
from pathlib import Path

import numpy as np
import pytest

from embedkit import images
from embedkit.datasets import catalog, open_dataset
from embedkit.errors import EmbedkitError
from tests.datasets.making import MEDMNIST_COUNTS, medmnist_arrays, npz


def test_pneumoniamnist_real_against_numpy(data_root: Path) -> None:
    opened = open_dataset("pneumoniamnist", data_root, fetch=False)
    table = opened.table
    assert table["split"].value_counts().to_dict() == catalog()["pneumoniamnist"].counts
    assert opened.facts["resolution"] == 28
    assert opened.facts["classes"] == ["normal", "pneumonia"]
    assert opened.targets == {"label": ("label",)}
    with np.load(data_root / "pneumoniamnist_28.npz") as archive:
        for split in ("train", "val", "test"):
            part = table[table["split"] == split]
            wanted = np.array(["normal", "pneumonia"])[archive[f"{split}_labels"][:, 0]]
            assert part["label"].tolist() == wanted.tolist()
        last = table[table["split"] == "test"].index[-1]
        assert table.loc[last, ["id", "path"]].tolist() == ["test-623", "pneumoniamnist_28.npz#test_images[623]"]
        pixels, _ = images.load(opened.addresses()[last])
        np.testing.assert_array_equal(pixels[..., 0], archive["test_images"][623])


@pytest.mark.parametrize("name", [name for name, card in catalog().items() if card.layout == "medmnist"])
def test_every_set_and_size_is_read(tmp_path: Path, name: str) -> None:
    card = catalog()[name]
    assert isinstance(card.resolution, int)
    npz(tmp_path / name / card.marks[0], medmnist_arrays(card, card.resolution))
    opened = open_dataset(name, tmp_path, fetch=False)
    assert opened.table["split"].value_counts().to_dict() == MEDMNIST_COUNTS
    columns = next(iter(opened.targets.values()))
    train = opened.table[opened.table["split"] == "train"]
    if len(columns) == 1:
        assert train["label"].tolist() == [card.classes[number % len(card.classes)] for number in range(4)]
    else:
        assert columns[0] == "atelectasis"
        assert "label" not in opened.table
        np.testing.assert_array_equal(train[list(columns)], np.eye(4, 14, dtype=int))
        assert opened.table[list(columns)].dtypes.map(lambda kind: kind.kind).eq("i").all()


def test_only_headers_of_the_images_are_read(tmp_path: Path) -> None:
    """Images cut short behind their header do not matter here: reading them is the extraction's task."""
    path = npz(tmp_path / "whole.npz", medmnist_arrays(catalog()["pneumoniamnist"], 28))
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "pneumoniamnist.npz", "w") as cut:
        for name in whole.namelist():
            cut.writestr(name, whole.read(name)[:200] if "images" in name else whole.read(name))
    assert len(open_dataset("pneumoniamnist", tmp_path, fetch=False)) == 9


def change(**arrays: np.ndarray | None) -> dict[str, np.ndarray]:
    changed = medmnist_arrays(catalog()["pneumoniamnist"], 28) | arrays
    return {name: array for name, array in changed.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (change(val_images=None), "val_images"),
        (change(test_labels=None), "test_labels"),
        (change(train_labels=np.zeros((3, 1), np.uint8)), r"labels of shape \(3, 1\) and type uint8 for 4 images"),
        (change(train_images=np.zeros((4, 64, 64), np.uint8)), "not of 28 x 28 pixels"),
        (change(train_labels=np.full((4, 1), 2, np.uint8)), "labels beyond 0 to 1"),
        (change(train_labels=np.full((4, 1), -1, np.int8)), "labels beyond 0 to 1"),
        (change(train_labels=np.zeros((4, 2), np.uint8)), r"labels of shape \(4, 2\)"),
        (change(train_labels=np.array([[0], [1], [0], [None]], dtype=object)), "Object arrays"),
        (change(train_labels=np.full((4, 1), 0.5)), "type float64"),
        (change(train_images=np.uint8(3)), r"train_images is of shape \(\)"),
    ],
)
def test_a_file_that_lies_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = npz(tmp_path / "pneumoniamnist.npz", arrays)
    with pytest.raises(EmbedkitError, match=message) as caught:
        open_dataset("pneumoniamnist", tmp_path, fetch=False)
    assert f"{path} is not the npz of 'pneumoniamnist'" in str(caught.value)
    assert "Delete it and fetch it anew" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.98])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    path = npz(tmp_path / "pneumoniamnist.npz", change())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(EmbedkitError, match="is not the npz of"):
        open_dataset("pneumoniamnist", tmp_path, fetch=False)


def test_a_header_that_promises_a_petabyte_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "whole.npz", change())
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "pneumoniamnist.npz", "w") as lying:
        for name in whole.namelist():
            data = whole.read(name).replace(b"(4, 1), ", b"(1000000000000000, 1), ")
            lying.writestr(name, data.replace(b" " * 14, b"", 1) if "(1000" in str(data) else data)
    with pytest.raises(EmbedkitError, match="is not the npz of"):
        open_dataset("pneumoniamnist", tmp_path, fetch=False)


def test_damaged_labels_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "pneumoniamnist.npz", change())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("train_labels.npy").header_offset
    damaged = bytearray(path.read_bytes())
    for place in range(start + 60, start + 75):
        damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(EmbedkitError, match="is not the npz of"):
        open_dataset("pneumoniamnist", tmp_path, fetch=False)
