"""Processes beside this one: Ctrl-C is left to this one, and they end when it does, however that happens."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, resource_tracker
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C, which goes to the whole process group, from the processes that are started meanwhile."""
    # The trackers of what processes share lift the block where they are started, with the first of them.
    from loky.backend import resource_tracker as of_loky

    of_loky.ensure_running()
    resource_tracker.ensure_running()
    # They inherit the block; the parent alone answers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def linked(serve: Callable[..., None], *args: Any) -> tuple[Any, Connection]:
    """Start a process that runs ``serve(link, *args)``; return it and the other end of its link, which ends with it."""
    from loky.backend.context import get_context

    link, theirs = Pipe()
    # Unlike a process of multiprocessing, it doesn't run the user's script once more, and takes any function.
    process = get_context("loky").Process(target=serve, args=(theirs, *args))
    with interrupts_held():
        process.start()
    theirs.close()
    return process, link


def end_with(parent: int) -> None:
    """End this process within a second of its parent: one that is killed can't end those that it has started."""

    # It may be gone before this one is up.
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
