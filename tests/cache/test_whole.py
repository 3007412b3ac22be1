"""Whole under its name, or not there."""

from pathlib import Path

import pytest

from embedkit.cache.whole import saved, whole_file
from embedkit.errors import EmbedkitError


def test_the_name_appears_with_the_whole_content_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with whole_file(path) as temporary:
        temporary.write_text("content")
        assert not path.exists()
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".tmp")
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(type(error)), whole_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(EmbedkitError, match=r"the table can't be written to .*file/table.json .*choose another folder"),
        saved("the table", tmp_path / "file" / "table.json") as temporary,
    ):
        temporary.write_text("never")
    with saved("the table", tmp_path / "table.json") as temporary:
        temporary.write_text("content")
    assert (tmp_path / "table.json").read_text() == "content"
