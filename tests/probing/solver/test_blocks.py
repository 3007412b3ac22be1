"""Blocks of rows: all of them, once, and sums that no number of threads changes."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from embedkit.probing.solver.blocks import ROWS, row_blocks


@pytest.mark.parametrize("rows", [1, ROWS, ROWS + 1, 5 * ROWS + 3])
def test_every_row_is_in_one_block(rows: int) -> None:
    with row_blocks(rows) as blocks:
        assert np.concatenate([np.arange(rows)[block] for block in blocks.slices]).tolist() == list(range(rows))
        assert blocks.of(7).slices == (slice(0, 7),)


def test_many_rows_have_larger_blocks() -> None:
    for rows, size in ((63 * ROWS, ROWS), (64 * ROWS, 2 * ROWS)):
        with row_blocks(rows) as blocks:
            assert {block.stop - block.start for block in blocks.slices} == {size} == {blocks.size}


def test_results_come_in_order_though_threads_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedkit.machine.cores", lambda: 4)

    def late(number: int) -> int:
        time.sleep(0.01 * (number % 3 == 0))
        return number

    with row_blocks(10 * ROWS) as blocks:
        assert list(blocks.map(late, range(20))) == list(range(20))


def test_sums_are_the_same_bits_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    F = np.random.default_rng(0).normal(size=(9 * ROWS + 5, 6)).astype(np.float32)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("embedkit.machine.cores", lambda cores=cores: cores)
        with row_blocks(len(F)) as blocks:
            found.append(blocks.gram(lambda rows: F[rows], 6))
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], F.T.astype(float) @ F, rtol=1e-4, atol=0.1)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail(_rows: slice) -> None:
        raise ZeroDivisionError(threading.current_thread().name)

    with row_blocks(10) as blocks, pytest.raises(ZeroDivisionError):
        blocks.each(fail)


def test_each_linear_algebra_library_multiplies_on_one_thread_in_a_fresh_process() -> None:
    script = """
import threadpoolctl
from embedkit.probing.solver.blocks import row_blocks
with row_blocks(10):
    import scipy.linalg
    print([one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    threads = json.loads(done.stdout)
    assert len(threads) >= 2
    assert set(threads) == {1}
