import os
import subprocess
import sys
import threading
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedkit.images import ImageError, decode
from embedkit.images.quiet import quiet, quiet_library


def test_warnings_inside_are_ignored_and_the_filters_come_back():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with quiet():
            warnings.warn("inside", stacklevel=1)
            with quiet():
                warnings.warn("deeper", stacklevel=1)
            warnings.warn("still inside", stacklevel=1)
        assert list(warnings.filters) == before
        with pytest.raises(UserWarning, match="after"):
            warnings.warn("after", stacklevel=1)


def test_the_filters_come_back_after_an_error():
    before = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    assert list(warnings.filters) == before


def test_two_threads_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first_in, second_in = threading.Event(), threading.Event()

    def first():
        with quiet():
            first_in.set()
            second_in.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(5)
    with quiet():
        second_in.set()
        thread.join(5)
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("the first has left", stacklevel=1)
        assert not seen
    assert list(warnings.filters) == before


def test_what_a_library_prints_is_gone_and_what_comes_later_is_not(capfd: pytest.CaptureFixture[str]):
    os.write(2, b"before\n")
    with pytest.raises(ZeroDivisionError), quiet_library():
        os.write(2, b"inside\n")
        _ = 1 / 0
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"


def test_a_process_without_standard_error_goes_on():
    script = (
        "import os; from embedkit.images.quiet import quiet_library\nos.close(2)\nwith quiet_library(): print('done')"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "done\n"


def test_no_file_stays_open():
    before = (
        len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else pytest.skip("no /proc here")
    )
    for _ in range(3):
        with quiet_library():
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_damaged_tiffs_are_errors_and_nothing_else_is_printed(compression: str, capfd: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(0)
    data = BytesIO()
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(data, "TIFF", compression=compression)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data.getvalue())
        for place in rng.integers(8, len(damaged), 6):
            damaged[place] ^= 255
        try:
            decode(bytes(damaged), "x.tif")
        except ImageError:
            refused += 1
    assert refused > 5
    assert capfd.readouterr().err == ""
