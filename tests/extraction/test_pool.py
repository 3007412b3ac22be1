"""Processes with a link each: what they return, what they raise, and that the death of one is always seen."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embedkit.extraction.buffers import receive
from embedkit.extraction.pool import DiedError, Pool, _serve
from embedkit.extraction.processes import linked

SECONDS = 0.5
TOP = Path(__file__).parents[2]


def test_results_and_errors_come_back() -> None:
    pool = Pool(2)
    try:
        futures = [pool.submit(np.full, (3, 2), number) for number in range(200)]
        assert [future.result()[0, 0] for future in futures] == list(range(200))
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        assert pool.submit(os.getpid).result() != os.getpid()
    finally:
        pool.end()


def _met(mine: Path, other: Path) -> bool:
    """Say whether another call was running while this one was."""
    mine.touch()
    end = time.monotonic() + 30
    while not other.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return other.exists()


def test_two_calls_run_beside_each_other_and_no_third(tmp_path: Path) -> None:
    pool = Pool(2)
    try:
        one, two, three, gate = (tmp_path / name for name in ("1", "2", "3", "gate"))
        meeting = [pool.submit(_met, one, two), pool.submit(_met, two, one)]
        assert all(future.result() for future in meeting)
        waiting = [pool.submit(_met, mine, gate) for mine in (one, two)]
        third = pool.submit(three.touch)
        time.sleep(SECONDS)
        assert not (third.done() or three.exists())
        gate.touch()
        assert all(future.result() for future in waiting)
        third.result()
        assert three.exists()
    finally:
        pool.end()


def test_a_process_that_dies_while_it_writes_is_seen_though_others_live() -> None:
    process, link = linked(_serve, os.getpid())
    other, alive = linked(_serve, os.getpid())
    # More than a pipe holds: it stops in the middle until somebody reads.
    link.send((np.zeros, (10_000_000,)))
    time.sleep(SECONDS)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises((EOFError, OSError)):
        receive(link)
    alive.send((abs, (-2,)))
    assert receive(alive) == (2, None)
    for one in (process, other):
        one.terminate()
        one.join()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_call_whose_process_dies_raises_that(how: signal.Signals) -> None:
    pool = Pool(1)
    try:
        pid = pool.submit(os.getpid).result()
        waiting = pool.submit(time.sleep, 60)
        os.kill(pid, how)
        with pytest.raises(DiedError):
            waiting.result(timeout=10)
        with pytest.raises(DiedError):
            pool.submit(os.getpid).result(timeout=10)
    finally:
        pool.end()


def test_an_end_waits_for_nothing() -> None:
    pool = Pool(2)
    waiting = [pool.submit(time.sleep, 60) for _ in range(4)]
    begun = time.monotonic()
    pool.end()
    assert time.monotonic() - begun < 10
    assert all(future.cancelled() or isinstance(future.exception(), DiedError) for future in waiting)


def _blocked() -> set[signal.Signals]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_ctrl_c_is_kept_from_the_first_process_too() -> None:
    code = (
        "from embedkit.extraction.pool import Pool\n"
        "from tests.extraction.test_pool import _blocked\n"
        "pool = Pool(2)\n"
        "masks = [pool.submit(_blocked).result() for _ in range(4)]\n"
        "pool.end()\n"
        "print(masks, _blocked())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.count("Signals.SIGINT") == 4, done
