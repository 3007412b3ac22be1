import builtins
import io
import os

import pytest

from embedkit.images import MissingFile, TooManyPixels, UnreadableFile
from embedkit.images.files import look, read_bytes
from embedkit.images.policy import MAX_BYTES


def test_bytes_are_read_as_they_are(tmp_path):
    path = tmp_path / "ä b#c.bin"
    path.write_bytes(b"\0\1\2\r\n")
    assert read_bytes(str(path)) == b"\0\1\2\r\n"


@pytest.mark.parametrize("name", ["absent.png", "file.png/inside.png", "nul\0.png", "\ud800.png"])
def test_a_path_that_is_no_file_is_missing(tmp_path, name):
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(MissingFile, match="png"):
        read_bytes(os.path.join(tmp_path, name))  # noqa: PTH118


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(UnreadableFile, match="folder"):
        read_bytes(str(tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableFile, match="regular file"):
        read_bytes(str(tmp_path / "pipe.png"))


def test_a_name_too_long_is_unreadable(tmp_path):
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_bytes(str(tmp_path / ("x" * 300)))


@pytest.mark.parametrize(("module", "call"), [(os, "stat"), (builtins, "open")])
def test_no_permission_is_said(tmp_path, monkeypatch, module, call):
    def refuse(*_words):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    monkeypatch.setattr(module, call, refuse)
    with pytest.raises(UnreadableFile, match=r"a\.png: no permission"):
        read_bytes(str(path))


def test_a_failing_disk_is_said(tmp_path, monkeypatch):
    class Failing(io.BytesIO):
        def read(self):
            raise OSError(5, "Input/output error")

    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    monkeypatch.setattr(builtins, "open", lambda *_words: Failing())
    with pytest.raises(UnreadableFile, match="Input/output error"):
        read_bytes(str(path))


def test_a_file_that_no_image_needs_is_not_read(tmp_path):
    path = tmp_path / "slide.tif"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(TooManyPixels, match="bytes"):
        read_bytes(str(path))


def test_the_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x")
    before = look(str(path))
    assert look(str(path)) == before
    path.write_bytes(b"xy")
    assert look(str(path)) != before
