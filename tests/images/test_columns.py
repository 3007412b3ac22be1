import hashlib
import io
import sys

import numpy as np
import pytest
from PIL import Image

from embedkit.images import (
    DamagedImage,
    EmptyFile,
    ImageError,
    NoSuchPart,
    TruncatedImage,
    UnsupportedImage,
    digest,
    load,
)

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

RANDOM = np.random.default_rng(5)
PIXELS = RANDOM.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


FILES = [png(pixels) for pixels in PIXELS]


def table():
    cells = [{"bytes": data, "path": f"p{row}.png"} for row, data in enumerate(FILES)]
    cells[3] = {"bytes": None, "path": "elsewhere.png"}
    cells[4] = None
    cells[5] = {"bytes": b"", "path": None}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array(cells, kind), "plain": pa.array(FILES), "age": list(range(20))})


def write_stream(path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table().schema) as writer:
        writer.write_table(table(), max_chunksize=6)


def write_file(path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table().schema) as writer:
        writer.write_table(table(), max_chunksize=6)


WRITERS = {
    "parquet": lambda path: parquet.write_table(table(), path, row_group_size=6),
    "stream": write_stream,
    "file": write_file,
}


@pytest.fixture(scope="module", params=list(WRITERS))
def columnar(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / f"{request.param}.bin"
    WRITERS[request.param](path)
    return str(path)


def test_rows_in_any_order_are_the_images_and_their_identity_is_that_of_a_file(columnar):
    for row in (*range(6, 20), *reversed(range(3)), *RANDOM.integers(6, 20, 20).tolist()):
        for column in ("image", "plain"):
            pixels, identity = load(f"{columnar}#{column}[{row}]")
            np.testing.assert_array_equal(pixels, PIXELS[row])
            assert identity == digest(f"{columnar}#{column}[{row}]") == hashlib.sha256(FILES[row]).hexdigest()[:32]


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        ("image[3]", NoSuchPart, r"only the path elsewhere\.png: save the set with its images"),
        ("image[4]", NoSuchPart, "holds no bytes of an image, nothing"),
        ("image[5]", EmptyFile, "no bytes"),
        ("image[20]", NoSuchPart, "no row 20. The file has 20 rows"),
        ("images[0]", NoSuchPart, "no column 'images'. It has: image, plain, age"),
        ("age[0]", UnsupportedImage, "holds no bytes of images, but int"),
    ],
)
def test_a_cell_without_an_image_is_named(columnar, part, error, words):
    with pytest.raises(error, match=words):
        load(f"{columnar}#{part}")


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_file_cut_anywhere_is_refused(tmp_path, kind):
    path = tmp_path / "x.bin"
    WRITERS[kind](path)
    whole = path.read_bytes()
    for size in [*range(8, len(whole), len(whole) // 40), len(whole) - 1, len(whole) - 8]:
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedImage, match="cannot be read"):
            load(f"{path}#image[7]")


@pytest.mark.parametrize("kind", list(WRITERS))
def test_bytes_that_changed_end_in_an_image_or_in_a_named_error(tmp_path, kind):
    path = tmp_path / "x.bin"
    WRITERS[kind](path)
    whole = path.read_bytes()
    for place in RANDOM.integers(0, len(whole), 150):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            load(f"{path}#image[7]")
        except ImageError:
            continue


def test_a_replaced_file_is_noticed(tmp_path):
    path = tmp_path / "x.parquet"
    for row in (0, 1):
        parquet.write_table(pa.table({"image": [FILES[row]]}), path)
        np.testing.assert_array_equal(load(f"{path}#image[0]")[0], PIXELS[row])


def test_without_pyarrow_the_extra_is_named(columnar, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnsupportedImage, match=r"needs pyarrow\. Install it: pip install 'embedkit\[hf\]'"):
        load(f"{columnar}#image[0]")


def test_a_stretch_of_bytes_is_a_file(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(b"before" + FILES[0] + b"behind")
    size = len(FILES[0])
    pixels, identity = load(f"{path}#bytes=6+{size}")
    np.testing.assert_array_equal(pixels, PIXELS[0])
    assert identity == digest(f"{path}#bytes=6+{size}") == hashlib.sha256(FILES[0]).hexdigest()[:32]
    with pytest.raises(TruncatedImage, match=r"x\.tar#bytes=6\+9000: the file ends at byte"):
        load(f"{path}#bytes=6+9000")
    with pytest.raises(EmptyFile):
        load(f"{path}#bytes=6+0")
