"""The meter against things whose cost is known."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from embedkit.cost import count, measured

MEGABYTE = 2**20


def _burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_sleep_is_wall_and_no_processor_time() -> None:
    with measured() as meter:
        time.sleep(0.5)
    assert meter.cost.wall_seconds >= 0.5
    assert meter.cost.processor_seconds < 0.4


def test_work_is_processor_time_here_and_in_a_child_that_ended() -> None:
    burn = "import time\nwhile time.process_time() < .3: pass"
    with measured() as meter:
        _burn(0.2)
        subprocess.run([sys.executable, "-c", burn], check=True)
    assert meter.cost.processor_seconds >= 0.5


def test_work_of_children_that_live_on_is_processor_time_too_and_that_of_their_children() -> None:
    # By the clock that is read from outside: it counts whole ticks, and process_time() is up to two ahead of it.
    burn = "import os, time\nwhile sum(os.times()[:2]) < .305: pass\nprint(flush=True); time.sleep(60)"
    below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    begun = []
    with measured() as meter:
        for code in (burn, below):
            begun.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True))
            assert begun[-1].stdout is not None
            begun[-1].stdout.readline()
    for one in begun:
        os.killpg(one.pid, signal.SIGKILL)
        one.communicate()
    assert 0.6 <= meter.cost.processor_seconds < 2


def test_memory_that_was_freed_before_the_end_is_seen() -> None:
    with measured() as before:
        pass
    with measured() as meter:
        held = np.ones(200 * MEGABYTE, np.uint8)
        time.sleep(0.5)
        del held
    assert before.cost.peak_memory_bytes is not None
    assert meter.cost.peak_memory_bytes is not None
    assert meter.cost.peak_memory_bytes - before.cost.peak_memory_bytes > 150 * MEGABYTE


def test_memory_of_a_child_is_part_of_it() -> None:
    hold = "import time; held = b'1' * 200_000_000; time.sleep(1)"
    with measured() as alone:
        pass
    with measured() as meter:
        subprocess.run([sys.executable, "-c", hold], check=True)
    assert alone.cost.peak_memory_bytes is not None
    assert meter.cost.peak_memory_bytes is not None
    assert meter.cost.peak_memory_bytes - alone.cost.peak_memory_bytes > 150 * MEGABYTE


def test_an_error_leaves_the_cost_known_and_counts_are_kept() -> None:
    with pytest.raises(ZeroDivisionError), measured() as meter:
        meter.multiply_adds = 7
        _ = 1 // 0
    assert meter.cost.wall_seconds > 0
    assert meter.cost.multiply_adds == 7
    with measured() as other:
        pass
    assert other.cost.multiply_adds is None


def test_what_is_counted_goes_to_every_running_meter_and_to_no_other() -> None:
    count(3)
    with measured() as outer:
        count(5)
        with measured() as inner:
            count(7)
    count(11)
    assert (outer.cost.multiply_adds, inner.cost.multiply_adds) == (12, 7)
    with measured() as nothing:
        pass
    assert nothing.cost.multiply_adds is None
