"""Several GPUs of one machine: a process for each, which holds its encoders and takes shares of the set."""

import os
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from embedkit.errors import EmbedkitError
from embedkit.extraction.job import Job
from embedkit.extraction.processes import end_with, linked
from embedkit.extraction.worker import Done, Share, Work, Worker, pieces
from embedkit.machine import cores

# Between two shares an encoder waits for the first images of the next; one whose process is killed is done again whole.
_LARGEST_SHARE = 131_072
_SECONDS_TO_GO = 10


@dataclass(frozen=True)
class SeveralDevices:
    """Devices of this machine that share a run, by their names in torch."""

    devices: tuple[str, ...]

    def embed(self, work: Work) -> Generator[Done, None, None]:
        """Embed the shares and yield what became of them, stretch by stretch, each once, as it comes in.

        A process that dies is replaced, and its share is done again.

        Args:
            work: whose ``decoders`` are those of all devices together, by default one per core; each device has as
                many, and at least one where there are to be any.

        Raises:
            EmbedkitError: a process dies before it does anything, or the same share has killed several.
        """
        waiting = deque(map(_Task, pieces(work.shares, len(self.devices), work.batch, _LARGEST_SHARE)))
        images = work.images // len(self.devices)
        each = _evenly(cores() if work.decoders is None else work.decoders, len(self.devices))
        with ExitStack() as ends:

            def start(device: str) -> _Process:
                jobs = [job.on(device) for job in work.jobs]
                one = _Process(device, jobs, work.stores, images, each, work.batch, work.before)
                ends.callback(one.end)
                return one

            running = [start(device) for device in self.devices[: len(waiting)]]
            while running:
                heard = wait([one.link for one in running])
                for one in [one for one in running if one.link in heard]:
                    try:
                        told = one.link.recv()
                    except (EOFError, OSError):
                        running.remove(one)
                        waiting.extendleft(one.left())
                        if waiting:
                            running.append(start(one.device))
                        continue
                    if told is not None:
                        yield from one.news(told)
                    elif waiting:
                        one.give(waiting.popleft())
                    else:
                        running.remove(one)
                        one.dismiss()


def several_devices(jobs: Sequence[Job]) -> SeveralDevices | None:
    """Return the devices that the jobs are to run on beside each other, None where it is one."""
    return SeveralDevices(jobs[0].devices) if jobs and jobs[0].devices else None


def _evenly(decoders: int, devices: int) -> int:
    return max(decoders // devices, min(decoders, 1))


@dataclass
class _Task:
    """A share, and how many of its stretches were told: done again, it tells of the same ones in the same order."""

    share: Share
    told: int = 0
    again: int = 0

    def is_new(self) -> bool:
        """Count one more stretch, and say whether it was not told before."""
        self.again += 1
        new = self.again > self.told
        self.told += new
        return new


class _Process:
    """A process with a `Worker` on one device: over its link it asks for shares, and tells what becomes of them."""

    def __init__(self, device: str, *worker: Any) -> None:
        self.device = device
        self._task: _Task | None = None
        self._asked = self._dismissed = False
        self._process, self.link = linked(_serve, os.getpid(), device, worker)

    def give(self, task: _Task) -> None:
        """Have it take a share, for it has asked for one."""
        self._asked, self._task, task.again = True, task, 0
        try:
            self.link.send(task.share)
        except OSError:
            # It has died, which is heard next.
            return

    def news(self, done: Done) -> Sequence[Done]:
        """Return what it has told, unless that was told before by a process that has died."""
        assert self._task is not None
        # Its time and memory are measured here: it is a child of this process.
        return [replace(done, cost=None)] if self._task.is_new() else []

    def left(self) -> Sequence[_Task]:
        """Return what it leaves undone, having died.

        Raises:
            EmbedkitError: it did nothing before that.
        """
        self.end()
        if not self._asked:
            raise EmbedkitError(
                f"the process for {self.device} died before it embedded anything (status {self._process.exitcode}), "
                "most likely for want of memory: name fewer devices. What was done is kept: run the same command "
                "again to go on"
            )
        return [self._task] if self._task is not None else []

    def dismiss(self) -> None:
        """Let it go: nothing is left for it."""
        self._dismissed = True
        self.link.close()

    def end(self) -> None:
        """Wait for its end where it is dismissed, or else end it; its decoding processes see within a second."""
        if self._dismissed:
            self._process.join(_SECONDS_TO_GO)
        self._process.terminate()
        self._process.join()
        self.link.close()


def _serve(link: Connection, parent: int, device: str, worker: tuple[Any, ...]) -> None:
    end_with(parent)
    embeds = Worker(*worker)
    try:
        while True:
            # Nothing told is the wish for a share.
            link.send(None)
            for done in embeds.embed(link.recv()):
                link.send(done)
    except (EOFError, BrokenPipeError):
        # It is dismissed, or all is over. What its decoding processes have spent is known when they have ended.
        embeds.end()
    except Exception as error:
        text = f"{type(error).__name__}: {error}. What was done is kept: run the same command again to go on"
        link.send(Done(error=f"the process for {device} failed with {text}"))
