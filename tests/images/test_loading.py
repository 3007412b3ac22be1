import builtins
import hashlib
import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.images import (
    EmptyFile,
    ImageError,
    MissingFile,
    NoSuchPart,
    NotAnImage,
    SeveralFrames,
    UnreadableFile,
    UnsupportedImage,
    decode,
    digest,
    frame_count,
    load,
)
from embedkit.images import loading as module

from .making import COLOUR, RAMP, dicom, encode

FRAMES = [np.full((8, 8), level, np.uint8) for level in (0, 90, 180)]


@pytest.fixture
def pages(tmp_path):
    from PIL import Image

    images = [Image.fromarray(frame) for frame in FRAMES]
    path = tmp_path / "pages.tif"
    images[0].save(path, save_all=True, append_images=images[1:])
    return str(path)


def test_pixels_and_digest_are_of_the_same_file(tmp_path):
    path = tmp_path / "a#b.png"
    path.write_bytes(encode(COLOUR, "PNG"))
    pixels, identity = load(str(path))
    np.testing.assert_array_equal(pixels, COLOUR)
    assert identity == digest(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def test_the_same_bytes_under_another_name_are_the_same_image(tmp_path):
    for name in ("a.png", "b.dcm", "c"):
        (tmp_path / name).write_bytes(encode(RAMP, "BMP"))
    loaded = [load(str(tmp_path / name)) for name in ("a.png", "b.dcm", "c")]
    assert len({identity for _, identity in loaded}) == 1
    assert all((pixels == loaded[0][0]).all() for pixels, _ in loaded)


def _reads(monkeypatch):
    """Return the names of the files that are opened from now on."""
    reads, original = [], open

    def opened(name, mode):
        reads.append(name)
        return original(name, mode)

    monkeypatch.setattr(builtins, "open", opened)
    return reads


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(encode(COLOUR, "PNG"))
    reads = _reads(monkeypatch)
    load(str(path))
    assert reads == [str(path)]


def test_frames_of_one_file_differ_in_pixels_and_digest_and_share_one_reading(pages, monkeypatch):
    reads = _reads(monkeypatch)
    loaded = [load(f"{pages}#frame={index}") for index in range(3)]
    assert [int(pixels[0, 0, 0]) for pixels, _ in loaded] == [0, 90, 180]
    assert len(reads) == 1
    for index, (_, identity) in enumerate(loaded):
        expected = hashlib.sha256(Path(pages).read_bytes() + f"#frame={index}".encode()).hexdigest()[:32]
        assert identity == digest(f"{pages}#frame={index}") == expected
    assert digest(f"{pages}#frame=01") == loaded[1][1]


@pytest.mark.parametrize("fragment", ["", "#frame=2"])
def test_a_large_file_is_hashed_piece_by_piece(fragment, tmp_path):
    """Several are at once."""
    path = tmp_path / "large.tif"
    path.write_bytes(b"II*\0" + bytes(32 << 20))
    expected = hashlib.sha256(b"II*\0" + bytes(32 << 20) + fragment.encode()).hexdigest()[:32]
    tracemalloc.start()
    try:
        assert digest(f"{path}{fragment}") == expected
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_frames_of_a_replaced_file_are_new(pages):
    before = load(f"{pages}#frame=0")
    Path(pages).write_bytes(encode(COLOUR, "PNG"))
    after = load(f"{pages}#frame=0")
    assert before[1] != after[1]
    np.testing.assert_array_equal(after[0], COLOUR)


def test_errors_say_which_file_and_what_to_do(pages, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"no image\n" * 50)
    (tmp_path / "x.npz").write_bytes(b"PK\3\4" + bytes(50))
    for address, kind in {
        pages: SeveralFrames,
        f"{pages}#frame=3": NoSuchPart,
        f"{tmp_path}/gone.png": MissingFile,
        f"{tmp_path}": UnreadableFile,
        f"{tmp_path}/empty.png": EmptyFile,
        f"{tmp_path}/text.jpg": NotAnImage,
        f"{tmp_path}/x.npz": UnsupportedImage,
    }.items():
        with pytest.raises(ImageError) as caught:
            load(address)
        assert type(caught.value) is kind
        assert address.split("#")[0] in str(caught.value)
        assert str(caught.value).count(". ") + str(caught.value).endswith(".") >= 1


def test_frame_count_comes_from_the_header(pages, tmp_path):
    (tmp_path / "loop.gif").write_bytes(Path(pages).read_bytes())
    (tmp_path / "scan").write_bytes(dicom(np.stack(FRAMES), frames=3))
    (tmp_path / "headless.dcm").write_bytes(dicom(np.stack(FRAMES), frames=3)[132:])
    (tmp_path / "one.dcm").write_bytes(dicom(RAMP))
    for name, frames in {
        "pages.tif": 3,
        "loop.gif": 3,
        "scan": 3,
        "headless.dcm": 3,
        "one.dcm": 1,
    }.items():
        assert frame_count(str(tmp_path / name)) == frames
    assert frame_count(f"{pages}#frame=1") == 1


def test_frame_count_is_1_where_nothing_can_be_read(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.dcm").write_bytes(b"text")
    (tmp_path / "zeros.dcm").write_bytes(bytes(500))
    (tmp_path / "broken.tif").write_bytes(b"II*\0\xff\xff\0\0")
    (tmp_path / "broken.dcm").write_bytes(dicom(RAMP, NumberOfFrames="3").replace(b"IS\x02\x003 ", b"IS\x02\x00x "))
    (tmp_path / "cut.dcm").write_bytes(dicom(np.stack(FRAMES), frames=3)[:-100])
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "text.dcm", "zeros.dcm", "broken.tif", "broken.dcm", "cut.dcm", "pipe", "gone", ""):
        assert frame_count(str(tmp_path / name)) == 1


def test_frame_count_does_not_open_formats_of_one_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "look", lambda _path: pytest.fail("looked"))
    for name in ("a.jpg", "a.JPEG", "a.png", "a.bmp", "a.pgm", "a.ppm", "a.webp"):
        assert frame_count(str(tmp_path / name)) == 1


def test_frame_count_and_loading_agree_on_real_dicom(data_root):
    for path in sorted((data_root / "dicom").iterdir()):
        frames = frame_count(str(path))
        assert load(f"{path}#frame={frames - 1}")[0].ndim == 3
        with pytest.raises(NoSuchPart):
            load(f"{path}#frame={frames}")


def test_a_zeroed_file_is_refused_at_once():
    with pytest.raises(NotAnImage):
        decode(bytes(10_000_000), "zeros.jpg")


def test_a_frame_is_read_again_where_only_the_time_of_the_change_tells(tmp_path: Path) -> None:
    path = tmp_path / "frames.tif"
    seen = []
    for colour in (10, 200):
        frames = [Image.new("L", (8, 8), colour + number) for number in range(2)]
        inside = io.BytesIO()
        frames[0].save(inside, "TIFF", save_all=True, append_images=frames[1:])
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(inside.getvalue())
        os.utime(path, ns=(10**18, 10**18))
        seen.append(int(load(f"{path}#frame=1")[0].max()))
    assert seen == [11, 201]
