"""Processes that run functions, each over a link of its own.

A pool of the standard library, or of loky, has one pipe for the results of all: of a process that dies while it writes
the reader waits for the rest, for ever, and sees nothing else. A link ends with its process.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

from embedkit.extraction.buffers import receive, send
from embedkit.extraction.processes import end_with, linked

_Result = TypeVar("_Result")


class DiedError(Exception):
    """The process that was to do it has died."""


class Pool:
    """Processes that take one call after another; what they run and return must be what pickle can send."""

    def __init__(self, workers: int) -> None:
        self._ones = [_One(*linked(_serve, os.getpid())) for _ in range(workers)]
        # One call waits in each process for the one that it is at, so that it never waits for us.
        places = 2 * self._ones
        self._threads = ThreadPoolExecutor(len(places), thread_name_prefix="pool")
        self._free: SimpleQueue[_One] = SimpleQueue()
        for one in places:
            self._free.put(one)

    def submit(self, function: Callable[..., _Result], *args: Any) -> "Future[_Result]":
        """Run a function in a process; the future raises what it raises, or `DiedError`."""
        return self._threads.submit(self._call, function, args)

    def end(self) -> None:
        """End the processes, whatever they are at."""
        for one in self._ones:
            one.process.terminate()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for one in self._ones:
            one.process.join()
            one.link.close()

    def _call(self, function: Callable[..., _Result], args: tuple[Any, ...]) -> _Result:
        one = self._free.get()
        try:
            result, error = one.ask(function, args)
        except (EOFError, OSError) as gone:
            raise DiedError("a process has died") from gone
        finally:
            self._free.put(one)
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


class _One:
    """A process and the link to it."""

    def __init__(self, process: Any, link: Connection) -> None:
        self.process, self.link = process, link
        self._ask, self._listen = Lock(), Lock()

    def ask(self, *call: Any) -> Any:
        """Return what the process sends in answer to a call."""
        with self._ask:
            self.link.send(call)
            # Answers come in the order of the calls: nobody asks before who asked last listens.
            self._listen.acquire()
        try:
            return receive(self.link)
        finally:
            self._listen.release()


def _serve(link: Connection, parent: int) -> None:
    end_with(parent)
    while True:
        try:
            function, args = link.recv()
        except EOFError:
            return
        result, failed = None, None
        try:
            result = function(*args)
        except Exception as error:
            failed = error
        send(link, (result, failed))
