import posixpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedkit.datasets.addresses import by_stem, file_of, frames, inside, there
from tests.datasets.making import image

BASE = Path("/data/set")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a.png", "a.png"),
        ("./x//a.png", "x/a.png"),
        ("x/../a.png", "a.png"),
        ("/data/set/a.png", "a.png"),
        ("/data/set/x/../a.png", "a.png"),
        ("..a/b..png", "..a/b..png"),
        ("x\\y\\a.png", "x/y/a.png"),
        ("scan.dcm#frame=3", "scan.dcm#frame=3"),
        ("../a.png", None),
        ("x/../../a.png", None),
        ("..\\..\\a.png", None),
        ("/etc/passwd", None),
        ("//data/set/a.png", None),
        ("/data/set2/a.png", None),
        ("/data/set/../set2/a.png", None),
        ("C:\\scans\\a.png", None),
        ("C:/scans/a.png", None),
        ("\\\\server\\share\\a.png", None),
        ("\\etc\\passwd", None),
        (".", None),
        ("..", None),
        ("/", None),
        ("/data/set", None),
    ],
)
def test_a_path_stays_inside_or_is_none(written: str, expected: str | None) -> None:
    assert inside(BASE, written) == expected


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.png", "\\", "..\\..", "#frame=1"]), min_size=1, max_size=8))
def test_no_spelling_leads_out(parts: list[str]) -> None:
    found = inside(BASE, "/".join(parts))
    if found is not None:
        assert posixpath.normpath(f"/data/set/{found}") == f"/data/set/{found}"


def test_everything_is_inside_the_root_of_the_disk() -> None:
    assert inside(Path("/"), "/etc/x.png") == "etc/x.png"
    assert inside(Path("/"), "../x.png") == "x.png"


def test_a_backslash_that_is_part_of_a_name_is_kept(tmp_path: Path) -> None:
    image(tmp_path / "a\\b.png")
    assert inside(tmp_path, "a\\b.png") == "a\\b.png"


def test_file_of_an_address() -> None:
    assert file_of("x/a.npz#train_images[7]") == "x/a.npz"
    assert file_of("a#b.png") == "a#b.png"


@pytest.mark.parametrize("path", ["\0", "x" * 5000, "absent"])
def test_there_is_false_for_what_no_disk_holds(tmp_path: Path, path: str) -> None:
    assert not there(tmp_path / path)


def test_frames_of_a_file(tmp_path: Path, data_root: Path) -> None:
    image(tmp_path / "one.tif")
    image(tmp_path / "three.tiff", frames=3)
    image(tmp_path / "two.gif", frames=2)
    image(tmp_path / "plain.png")
    (tmp_path / "broken.tif").write_bytes(b"II*\0broken")
    assert frames(tmp_path, "one.tif") == ["one.tif"]
    assert frames(tmp_path, "three.tiff") == [f"three.tiff#frame={number}" for number in range(3)]
    assert frames(tmp_path, "two.gif") == ["two.gif#frame=0", "two.gif#frame=1"]
    for single in ("plain.png", "broken.tif", "absent.dcm", "three.tiff#frame=1"):
        assert frames(tmp_path, single) == [single]
    assert len(frames(data_root / "dicom", "examples_ybr_color.dcm")) == 30
    assert frames(data_root / "dicom", "CT_small.dcm") == ["CT_small.dcm"]


def test_by_stem_takes_the_first() -> None:
    assert by_stem(["a/x.pgm", "b/x.png", "y.z.png"]) == {"x": "a/x.pgm", "y.z": "y.z.png"}
