"""Files that are the channels of one image: as each is read alone, in their order, and by the bytes of all of them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit import images
from embedkit.images.channels import stack
from tests.images.making import COLOUR, RAMP, WIDE, dicom, encode, min_max


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A phase of each kind, and one of another size."""
    held = {"a.png": encode(RAMP, "PNG"), "b.png": encode(WIDE, "PNG"), "small.png": encode(RAMP[:20], "PNG")}
    frames = np.stack([WIDE // 2, WIDE])
    held |= {"c.dcm": dicom(WIDE), "d.dcm": dicom(frames, frames=2), "colour.png": encode(COLOUR, "PNG")}
    for name, data in held.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def address(folder: Path, *files: str) -> str:
    return f"{folder}/{images.join_channels(dict(zip(('nc', 'art', 'pv'), files, strict=False)))}"


def test_an_address_is_taken_apart_as_it_was_put_together() -> None:
    files = {"nc": "a b.png", "ä'\"": "x/c.dcm#frame=3", "": "#channels.png", "pv": ""}
    found = images.split_channels(f"/root/{images.join_channels(files)}")
    assert found == {"nc": "/root/a b.png", "ä'\"": "/root/x/c.dcm#frame=3", "": "/root/#channels.png", "pv": ""}
    assert list(found) == list(files)
    assert images.files_of(f"/root/{images.join_channels(files)}") == [
        "/root/a b.png",
        "/root/x/c.dcm",
        "/root/#channels.png",
    ]


@pytest.mark.parametrize("name", ["a.png", "a#frame=1", "x#channels={}", "x#channels={a}", 'x#channels={"a": 1}'])
def test_any_other_address_has_no_channels(name: str) -> None:
    assert images.split_channels(name) == {}
    assert images.files_of(name) == [images.split_address(name).path]


def test_channels_are_the_files_as_each_is_read_alone(folder: Path) -> None:
    pixels, digest = images.load(address(folder, "a.png", "b.png", "c.dcm"))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.stack([RAMP, min_max(WIDE)[..., 0], min_max(WIDE)[..., 0]], axis=2))
    assert digest == images.digest(address(folder, "a.png", "b.png", "c.dcm"))


def test_frames_may_be_channels_and_colour_is_read_as_gray(folder: Path) -> None:
    pixels, _ = images.load(address(folder, "colour.png", "d.dcm#frame=1"))
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))
    np.testing.assert_array_equal(pixels[..., 1], min_max(WIDE)[..., 0])
    assert not pixels[..., 2].any()


def test_gray_stays_what_it_is() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(
        stack({"a": np.stack([every] * 3, axis=2)} | {"b": COLOUR[:16, :16]}, "x")[..., 0], every
    )


def test_the_digest_is_of_the_bytes_of_all_files_in_order(folder: Path) -> None:
    a, b, c = (hashlib.sha256((folder / name).read_bytes()).hexdigest()[:32] for name in ("a.png", "b.png", "c.dcm"))
    wanted = hashlib.sha256(f"channels {a} {b} {c}".encode()).hexdigest()[:32]
    assert images.digest(address(folder, "a.png", "b.png", "c.dcm")) == wanted
    others = [("a.png", "c.dcm", "b.png"), ("a.png", "b.png"), ("a.png", "b.png", "b.png")]
    assert len({wanted, *(images.digest(address(folder, *files)) for files in others)}) == 4
    (folder / "again.png").write_bytes((folder / "b.png").read_bytes())
    renamed = f"{folder}/{images.join_channels({'x': 'a.png', 'y': 'again.png', 'z': 'c.dcm'})}"
    assert images.digest(renamed) == wanted


def test_sizes_that_differ_are_told(folder: Path) -> None:
    with pytest.raises(images.SizesDiffer, match=r"\(nc 31 x 24, art 31 x 20, pv 31 x 24\)") as caught:
        images.load(address(folder, "a.png", "small.png", "c.dcm"))
    assert caught.value.reason == "sizes differ"


@pytest.mark.parametrize("read", [images.load, images.digest])
def test_a_channel_without_a_file_is_a_missing_one(read, folder: Path) -> None:
    with pytest.raises(images.MissingFile, match="no file for its channel 'art'"):
        read(address(folder, "a.png", "", "c.dcm"))
    with pytest.raises(images.MissingFile, match=r"absent\.png: there is no such file"):
        read(address(folder, "a.png", "absent.png", "c.dcm"))


def test_channels_are_read_at_their_full_size_whatever_is_least(folder: Path) -> None:
    (folder / "large.jpg").write_bytes(encode(np.zeros((400, 400), np.uint8), "JPEG"))
    (folder / "large.png").write_bytes(encode(np.ones((400, 400), np.uint8), "PNG"))
    assert images.load(str(folder / "large.jpg"), 32)[0].shape < (400, 400, 3)
    assert images.load(address(folder, "large.jpg", "large.png"), 32)[0].shape == (400, 400, 3)


def test_a_channel_may_be_elsewhere(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://ct/pv.png", "wb") as file:
        file.write((folder / "b.png").read_bytes())
    pixels, digest = images.load(address(folder, "a.png", "memory://ct/pv.png"))
    np.testing.assert_array_equal(pixels[..., 1], min_max(WIDE)[..., 0])
    assert digest == images.digest(address(folder, "a.png", "b.png"))


def test_what_is_wrong_with_a_channel_is_told_of_its_file(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no image")
    with pytest.raises(images.NotAnImage, match=r"bad\.png: it is not an image"):
        images.load(address(folder, "a.png", "bad.png"))
    with pytest.raises(images.SeveralFrames, match="it holds 2 frames"):
        images.load(address(folder, "a.png", "d.dcm"))
