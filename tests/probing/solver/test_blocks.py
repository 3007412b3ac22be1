"""Blocks of rows: all of them, once, and sums that no number of threads changes."""

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
