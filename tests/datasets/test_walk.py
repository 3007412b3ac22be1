import os
from pathlib import Path

import pytest

from embedkit.datasets.walk import suffix, walk
from embedkit.errors import EmbedkitError
from tests.datasets.making import images, write


def test_lists_images_in_order_and_says_what_it_left_out(tmp_path: Path) -> None:
    images(tmp_path, "b/2.png", "b/10.png", "a.JPG", "B/1.png", "b.png")
    for other in ("notes.txt", "a/.hidden.png", "Thumbs.db", "b/mask.npy"):
        write(tmp_path / other, "")
    images(tmp_path, "__MACOSX/b/2.png", ".git/x.png")
    found = walk(tmp_path)
    assert found.files == sorted(["B/1.png", "a.JPG", "b.png", "b/10.png", "b/2.png"])
    assert sorted(found.skipped) == [".git/", "Thumbs.db", "__MACOSX/", "a/.hidden.png", "b/mask.npy", "notes.txt"]
    assert found.facts() == {
        "count": 6,
        "examples": [".git/", "Thumbs.db", "__MACOSX/", "a/.hidden.png", "b/mask.npy"],
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.PNG", ".png"),
        ("a.b/c", ""),
        ("IM001", ""),
        (".png", ""),
        ("1.2.840.113619.2.5", ""),
        ("a.dcm.gz", ".gz"),
        ("a.tar.DCM", ".dcm"),
        ("a.", "."),
    ],
)
def test_suffix(name: str, expected: str) -> None:
    assert suffix(name) == expected


def test_a_folder_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    images(tmp_path, "scan.png/1.png")
    (tmp_path / "empty.jpg").mkdir()
    assert walk(tmp_path).files == ["scan.png/1.png"]


def test_files_without_an_extension_are_dicom_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "IM001").write_bytes(bytes(128) + b"DICM" + bytes(8))
    (tmp_path / "1.2.840.99").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "old").write_bytes(b"\x08\x00\x05\x00" + bytes(40))
    (tmp_path / "README").write_text("what this is " * 20)
    (tmp_path / "EMPTY").touch()
    found = walk(tmp_path)
    assert found.files == ["1.2.840.99", "IM001", "old"]
    assert sorted(found.skipped) == ["EMPTY", "README"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    images(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to("self")
    for one in range(12):
        for other in range(12):
            (tmp_path / f"n{one}").mkdir(exist_ok=True)
            (tmp_path / f"n{one}" / f"to{other}").symlink_to(tmp_path / f"n{other}")
    assert walk(tmp_path).files == ["a/1.png", "b/2.png"]
    assert "a/up/" in walk(tmp_path).skipped
    assert "a/self" in walk(tmp_path).skipped


def test_a_linked_folder_outside_is_entered_and_a_real_one_keeps_its_name(tmp_path: Path) -> None:
    images(tmp_path / "elsewhere", "x.png")
    images(tmp_path / "set", "real/1.png")
    (tmp_path / "set/a_link_before_it").symlink_to(tmp_path / "set/real")
    (tmp_path / "set/c").symlink_to(tmp_path / "elsewhere")
    assert walk(tmp_path / "set").files == ["c/x.png", "real/1.png"]
    assert walk(tmp_path / "set").skipped == ["a_link_before_it/"]


def test_a_dead_link_to_an_image_is_listed_so_that_the_extraction_names_it(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    assert walk(tmp_path).files == ["gone.png"]


def test_a_name_that_is_not_unicode_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.png"))).touch()
    with pytest.raises(EmbedkitError, match=r"b'b\\xff\.png' is not valid UTF-8: rename it"):
        walk(tmp_path)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"can't list .*absent"):
        walk(tmp_path / "absent")


def test_a_folder_too_deep_for_a_path_is_named_in_short_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(25):
        Path("deep" * 50).mkdir()
        os.chdir("deep" * 50)
    with pytest.raises(EmbedkitError, match=r"can't list .*….*deep: its path of \d,\d+ bytes .* move it up") as told:
        walk(tmp_path)
    assert len(str(told.value)) < 500


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    assert walk(tmp_path).files == []
    assert sorted(walk(tmp_path).skipped) == ["pipe", "pipe.png"]
