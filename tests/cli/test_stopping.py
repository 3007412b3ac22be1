"""A signal stops the command line also where Python would drop it."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time, weakref
from embedkit import cli

class Thing:
    pass

def interrupted(*_):
    os.kill(os.getpid(), signal.{name})
    sum(range(1000))

class Ending:
    __del__ = interrupted

def run():
    if {by_reference}:
        thing = Thing()
        watch = weakref.ref(thing, interrupted)
        del thing
    else:
        Ending()
    time.sleep(20)
    print("it went on to its end")

signal.signal(signal.SIGINT, signal.default_int_handler)
cli._app = lambda: run
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("by_reference", [True, False])
def test_a_signal_in_a_callback_stops_the_run(name: str, by_reference: bool) -> None:
    script = SCRIPT.format(name=name, by_reference=by_reference)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_other_errors_in_a_callback_are_told_as_ever() -> None:
    script = SCRIPT.replace("os.kill(os.getpid(), signal.{name})", 'raise ValueError("told")').replace("20", "0")
    script = script.format(by_reference=False)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "it went on to its end\n")
    assert "ValueError: told" in done.stderr


def test_a_second_signal_that_python_drops_changes_nothing_of_the_end() -> None:
    """It comes back by the system's clock, when what would have taken it is gone."""
    script = SCRIPT.replace("time.sleep(20)", "globals().update(keep=Late()); raise KeyboardInterrupt")
    script = script.format(name="SIGINT", by_reference=False)
    script = script.replace(
        "def run", "class Late:\n    def __del__(self, sleep=time.sleep):\n        sleep(0.2)\n\ndef run"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")
