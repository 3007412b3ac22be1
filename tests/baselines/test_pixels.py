"""Every image is decoded once, the same as for an encoder, and what is bad is named."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedkit import images
from embedkit.baselines import pixels
from embedkit.baselines.network import card_of, whole_image
from embedkit.datasets import ImageSet
from embedkit.errors import EmbedkitError
from embedkit.extraction import Silent
from tests.baselines.conftest import write_set

PREPROCESSING = whole_image(card_of("test_resnet"), 16)


class Count(Silent):
    """Counts the images that are decoded."""

    def __init__(self) -> None:
        self.images = 0

    def advance(self, count: int) -> None:
        self.images += count


@pytest.fixture
def dataset(tmp_path: Path) -> ImageSet:
    made = write_set(tmp_path / "images", "ten", 10)
    for address in made.addresses():
        # A file of this moment could change within the grain of the clock and is not trusted.
        os.utime(address, (1_700_000_000, 1_700_000_000))
    return made


def _decode(dataset: ImageSet, folder: Path) -> tuple[pixels.Pixels, int]:
    count = Count()
    return pixels.decode_once(dataset, PREPROCESSING, folder, 0, count), count.images


def _grown_old(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the change time of the inode is fresh here, and no test can set that.
    real = pixels.file_stamps
    monkeypatch.setattr(
        pixels, "file_stamps", lambda addresses: real(addresses).assign(ctime_ns=lambda stamps: stamps["ctime_ns"] + 1)
    )


def test_pixels_and_digests_are_those_of_the_decoder(dataset: ImageSet, tmp_path: Path) -> None:
    found, decoded = _decode(dataset, tmp_path / "work")
    assert decoded == 10
    for row, address in enumerate(dataset.addresses()):
        image, digest = images.load(address)
        np.testing.assert_array_equal(found.data[row], PREPROCESSING.apply(image))
        assert found.digests[row] == digest
    assert found.cost.wall_seconds > 0
    assert found.cost.multiply_adds == 0


def test_a_second_run_decodes_nothing(dataset: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _grown_old(monkeypatch)
    first, _ = _decode(dataset, tmp_path / "work")
    second, decoded = _decode(dataset, tmp_path / "work")
    assert decoded == 0
    np.testing.assert_array_equal(second.data, first.data)
    assert (second.digests, second.cost) == (first.digests, first.cost)


def test_a_record_without_its_pixels_and_pixels_without_their_record_count_for_nothing(
    dataset: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _grown_old(monkeypatch)
    first, _ = _decode(dataset, tmp_path / "work")
    first.path.with_suffix(".json").unlink()
    assert _decode(dataset, tmp_path / "work")[1] == 10
    first.path.unlink()
    assert _decode(dataset, tmp_path / "work")[1] == 10


def test_a_changed_image_another_size_and_fresh_files_are_decoded(
    dataset: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _decode(dataset, tmp_path / "work")[1] == 10
    assert _decode(dataset, tmp_path / "work")[1] == 10, "the files are of this moment"
    _grown_old(monkeypatch)
    first, _ = _decode(dataset, tmp_path / "work")
    one, other = dataset.addresses()[:2]
    Path(one).write_bytes(Path(other).read_bytes())
    changed, decoded = _decode(dataset, tmp_path / "work")
    assert decoded == 10
    assert changed.digests[0] == first.digests[1]
    larger = replace(PREPROCESSING, size=20, resize=20)
    assert pixels.decode_once(dataset, larger, tmp_path / "work", 0, Silent()).data.shape == (10, 20, 20, 3)


def test_a_bad_image_is_in_the_ledger_and_not_in_the_rows(dataset: ImageSet, tmp_path: Path) -> None:
    Path(dataset.addresses()[3]).write_bytes(b"no image")
    found, _ = _decode(dataset, tmp_path / "work")
    table = pixels.as_embeddings(dataset, "test_resnet", 0, found)
    assert list(table.failed["id"]) == ["0003.png"]
    assert list(table.table["id"]) == [f"{n:04}.png" for n in range(10) if n != 3]
    assert table.X[:, 0].tolist() == [n for n in range(10) if n != 3]
    assert table.table["digest"].notna().all()


def test_no_readable_image_is_an_error(dataset: ImageSet, tmp_path: Path) -> None:
    for address in dataset.addresses():
        Path(address).unlink()
    with pytest.raises(EmbedkitError, match="none of the 10 images of ten could be read"):
        _decode(dataset, tmp_path / "work")


def test_removing_leaves_no_pixels(dataset: ImageSet, tmp_path: Path) -> None:
    found, _ = _decode(dataset, tmp_path / "work")
    found.remove()
    assert [path.name for path in (tmp_path / "work").iterdir() if path.suffix != ".lock"] == []
