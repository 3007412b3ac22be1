"""Run extractions of one set in forked processes, each of which gets a signal at a moment of its own, until one ends.

Forked, because a fresh process spends its first second on imports, where there is nothing to lose.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from embedkit import EmbedkitError
from tests.extraction.fake import FakeEncoder, run

LONGEST = 0.6


def _run(folder: Path, cache: Path) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(folder, cache, FakeEncoder(pause=0.004))
    except (EmbedkitError, KeyboardInterrupt):
        return 2
    return 0


def storm(folder: Path, cache: Path, how: signal.Signals, seed: int) -> int:
    """Return how many processes were hit before one came through."""
    chance = random.Random(seed)
    for hit in range(200):
        child = os.fork()
        if child == 0:
            os._exit(_run(folder, cache))
        # Later and later, so that one comes through in the end.
        end = time.monotonic() + chance.uniform(0, LONGEST * (1 + hit / 10))
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended and status == 0:
                return hit
            time.sleep(0.002)
        os.kill(child, how)
        os.waitpid(child, 0)
    raise AssertionError("none came through")


if __name__ == "__main__":
    print(storm(Path(sys.argv[1]), Path(sys.argv[2]), signal.Signals(int(sys.argv[3])), int(sys.argv[4])))
