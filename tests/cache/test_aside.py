"""An array that waits on the disk comes back, and leaves nothing behind."""

from pathlib import Path

import numpy as np
import pytest

from embedkit.cache import Aside, CacheError


def test_it_comes_back_each_time_and_has_no_name(tmp_path: Path) -> None:
    array = np.arange(12).reshape(4, 3)
    waits = Aside(array, tmp_path / "set")
    assert not list((tmp_path / "set").iterdir())
    for _ in range(2):
        np.testing.assert_array_equal(waits.back(), array)


def test_a_folder_that_can_not_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="can't be written"):
        Aside(np.zeros(3), tmp_path / "file" / "set")
