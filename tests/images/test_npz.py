import hashlib
import io
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedkit.images import (
    DamagedImage,
    EmptyFile,
    ImageError,
    MissingFile,
    NoSuchPart,
    NotFinite,
    TooManyPixels,
    TruncatedImage,
    UnsupportedImage,
    digest,
    load,
)

from .making import gray_rgb, min_max

RANDOM = np.random.default_rng(3)
GRAY = RANDOM.integers(0, 256, (40, 6, 5), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
WIDE = RANDOM.integers(0, 4096, (40, 6, 5), dtype=np.uint16)


@pytest.fixture(scope="module", params=["stored", "deflated"])
def npz(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / f"{request.param}#1.npz"
    save = np.savez if request.param == "stored" else np.savez_compressed
    save(path, train_images=GRAY, colour=COLOUR, wide=WIDE, swapped=WIDE.astype(">u2"), labels=np.arange(40))
    return str(path)


def test_rows_in_order_in_reverse_and_at_random_are_those_of_numpy(npz):
    with np.load(npz) as reference:
        stack, colour = reference["train_images"], reference["colour"]
    for row in (*range(40), *reversed(range(40)), *RANDOM.integers(0, 40, 40).tolist()):
        np.testing.assert_array_equal(load(f"{npz}#train_images[{row}]")[0], gray_rgb(stack[row]))
        np.testing.assert_array_equal(load(f"{npz}#colour[{row}]")[0], colour[row])


def test_wider_rows_go_through_the_window_of_their_own(npz):
    for row in (0, 39):
        np.testing.assert_array_equal(load(f"{npz}#wide[{row}]")[0], min_max(WIDE[row]))
        np.testing.assert_array_equal(load(f"{npz}#swapped[{row}]")[0], min_max(WIDE[row]))


def test_the_digest_is_of_dtype_shape_and_bytes(npz):
    pixels, identity = load(f"{npz}#train_images[7]")
    assert identity == hashlib.sha256(b"|u1(6, 5)" + GRAY[7].tobytes()).hexdigest()[:32]
    assert digest(f"{npz}#train_images[7]") == identity
    assert digest(f"{npz}#train_images[8]") != identity
    assert digest(f"{npz}#wide[7]") != digest(f"{npz}#swapped[7]")
    assert pixels.shape == (6, 5, 3)


def test_threads_do_not_move_the_stream_under_each_other(npz):
    rows = RANDOM.integers(0, 40, 300).tolist()
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda row: load(f"{npz}#colour[{row}]")[0], rows))
    np.testing.assert_array_equal(np.stack(shown), COLOUR[rows])


def test_a_replaced_file_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=GRAY)
    np.testing.assert_array_equal(load(f"{path}#images[3]")[0], gray_rgb(GRAY[3]))
    np.savez(path, images=GRAY[::-1])
    np.testing.assert_array_equal(load(f"{path}#images[3]")[0], gray_rgb(GRAY[-4]))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_array_is_never_in_memory(tmp_path, save):
    path = tmp_path / "large.npz"
    save(path, images=np.zeros((400, 256, 256), np.uint8))
    tracemalloc.start()
    load(f"{path}#images[399]")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_nan_in_a_row_is_refused_and_other_rows_are_not(tmp_path):
    values = np.ones((2, 3, 3), np.float32)
    values[1, 0, 0] = np.nan
    np.savez(tmp_path / "x.npz", images=values)
    assert not load(f"{tmp_path}/x.npz#images[0]")[0].any()
    with pytest.raises(NotFinite, match=r"x\.npz#images\[1\]: 1 of its 9"):
        load(f"{tmp_path}/x.npz#images[1]")


def test_booleans_are_black_and_white(tmp_path):
    np.savez(tmp_path / "x.npz", masks=np.ones((1, 2, 2), bool))
    assert (load(f"{tmp_path}/x.npz#masks[0]")[0] == 255).all()


def test_what_is_not_there_is_named(npz):
    with pytest.raises(NoSuchPart, match=r"no row 40\. The array has 40 rows"):
        load(f"{npz}#train_images[40]")
    with pytest.raises(NoSuchPart, match=r"no array 'train'\. It holds: colour, labels, swapped, train_images, wide"):
        load(f"{npz}#train[0]")
    with pytest.raises(MissingFile, match=r"gone\.npz"):
        load("gone.npz#images[0]")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[["a"]]], object),
        np.zeros((3, 4)),
        np.zeros((2, 3, 4, 5)),
        np.zeros((2, 3, 4), complex),
        np.zeros((2, 3, 4), "datetime64[s]"),
        np.asfortranarray(np.zeros((3, 4, 5))),
        np.zeros((2, 3, 4), [("a", "u1")]),
    ],
    ids=["pickled objects", "matrix", "volumes", "complex", "dates", "fortran", "records"],
)
def test_what_is_no_stack_of_images_is_refused(tmp_path, array):
    np.savez(tmp_path / "x.npz", a=array)
    with pytest.raises(UnsupportedImage, match=r"x\.npz: its array 'a'.*Save numbers of shape"):
        load(f"{tmp_path}/x.npz#a[0]")


def npy(shape, payload=b""):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue() + payload


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def test_lies_in_the_header_of_an_array(tmp_path):
    path = tmp_path / "x.npz"
    zipped(
        path,
        bomb=npy((1, 60_000, 60_000)),
        flat=npy((1, 0, 5)),
        short=npy((9, 10, 10), bytes(250)),
        none=npy((0, 1, 1)),
    )
    with pytest.raises(TooManyPixels, match=r"x\.npz#bomb: .*60000 x 60000"):
        load(f"{path}#bomb[0]")
    with pytest.raises(DamagedImage, match="5 x 0"):
        load(f"{path}#flat[0]")
    assert load(f"{path}#short[1]")[0].shape == (10, 10, 3)
    for row in (2, 8):
        with pytest.raises(TruncatedImage, match=rf"short\[{row}\]: the array ends"):
            load(f"{path}#short[{row}]")
    with pytest.raises(NoSuchPart, match="0 rows"):
        load(f"{path}#none[0]")


def test_a_size_that_no_file_has_does_not_hang(tmp_path):
    path = tmp_path / "x.npz"
    zipped(path, a=npy((10**15, 10, 10), bytes(100)))
    with pytest.raises(TruncatedImage):
        load(f"{path}#a[{10**14}]")


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", EmptyFile), (b"PK\3\4", DamagedImage), (b"text", DamagedImage)],
    ids=["empty", "zip", "text"],
)
def test_what_is_no_npz(tmp_path, data, error):
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(error, match=r"x\.npz"):
        load(f"{tmp_path}/x.npz#a[0]")


def test_a_password_is_damage(tmp_path):
    zipped(tmp_path / "x.npz", a=npy((1, 2, 2), bytes(4)))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DamagedImage, match="password"):
        load(f"{tmp_path}/x.npz#a[0]")


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "x.npz"
    np.savez_compressed(path, a=GRAY[:3])
    return path, path.read_bytes()


@settings(max_examples=200, deadline=None)
@given(
    cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)
)
def test_only_image_errors_escape_a_damaged_npz(seed, cut, flips):
    path, data = seed
    damaged = bytearray(data if flips else data[: int(cut * len(data))])
    for place, value in flips:
        damaged[int(place * len(damaged))] = value
    path.write_bytes(damaged)
    for row in (2, 0):
        try:
            shown, _ = load(f"{path}#a[{row}]")
        except ImageError as error:
            assert str(path) in str(error)
        else:
            assert shown.dtype == np.uint8


def test_a_bad_checksum_at_the_end_is_damage(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=GRAY)
    data = bytearray(path.read_bytes())
    at = data.index(GRAY.tobytes())
    data[at + 100] ^= 255
    path.write_bytes(data)
    with pytest.raises(DamagedImage, match="CRC"):
        for row in range(40):
            load(f"{path}#a[{row}]")
    assert struct.unpack("<I", data[:4])[0] == 0x04034B50
