"""Run extractions of one set in forked processes that signal themselves at a moment of their own, until one ends.

A moment is a call of the encoder, or anything that changes the disk: opening for writing, making room, syncing,
renaming, removing. Which one is drawn, so a seed always gives the same storm.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedkit import EmbedkitError
from tests.extraction.fake import FakeEncoder, run

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


def _signal_at(moment: int, how: signal.Signals) -> Callable[[], None]:
    left = [moment]

    def now() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), how)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            now()

    sys.addaudithook(heard)
    for name in ("fsync", "posix_fallocate"):
        real = getattr(os, name)
        setattr(os, name, lambda *given, real=real: (now(), real(*given), now()))
    return now


def _run(folder: Path, cache: Path, moment: int, how: signal.Signals) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    encoder, now = FakeEncoder(), _signal_at(moment, how)
    encode = encoder.encode
    encoder.encode = lambda batch: (now(), encode(batch))[1]  # type: ignore[method-assign]
    try:
        run(folder, cache, encoder)
    except (EmbedkitError, KeyboardInterrupt):
        return 2
    return 0


def storm(folder: Path, cache: Path, how: signal.Signals, seed: int) -> int:
    """Return how many processes were hit before one came through."""
    chance = random.Random(seed)
    for hit in range(200):
        # Later and later, so that one comes through in the end.
        moment = chance.randint(1, 20 + 4 * hit)
        child = os.fork()
        if child == 0:
            os._exit(_run(folder, cache, moment, how))
        _, status = os.waitpid(child, 0)
        if status == 0:
            return hit
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 2
    raise AssertionError("none came through")


if __name__ == "__main__":
    print(storm(Path(sys.argv[1]), Path(sys.argv[2]), signal.Signals(int(sys.argv[3])), int(sys.argv[4])))
