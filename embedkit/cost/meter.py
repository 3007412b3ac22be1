"""The meter: what this process and its children spend between two moments."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from embedkit.cost.energy import read_counters, spent_kwh
from embedkit.cost.ledger import Cost

_SECONDS_BETWEEN_SAMPLES = 0.2
_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Meter:
    """Runs from its making until `stop`; `measured` does both.

    Attributes:
        multiply_adds: counted by the one who computes, None until then.
        cost: what was spent, once it is stopped.
    """

    def __init__(self) -> None:
        self.multiply_adds: int | None = None
        self.cost = Cost()
        self._counters = read_counters()
        self._mark = _high_mark()
        self._peak = resident_bytes()
        self._over = Event()
        self._sampler = Thread(target=self._sample, daemon=True)
        self._sampler.start()
        _RUNNING.append(self)
        self._wall, self._processor = time.perf_counter(), processor_seconds()

    def stop(self) -> None:
        """End the measurement and fill in ``cost``."""
        wall, processor = time.perf_counter() - self._wall, processor_seconds() - self._processor
        _RUNNING.remove(self)
        self._over.set()
        self._sampler.join()
        # The system's own mark misses no moment, but it is of the whole life of the process: it counts if it rose.
        mark = _high_mark()
        peak = max(self._peak, resident_bytes(), mark if mark > self._mark else 0)
        self.cost = Cost(wall, processor, peak or None, self.multiply_adds, spent_kwh(self._counters, read_counters()))

    def _sample(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN_SAMPLES):
            self._peak = max(self._peak, resident_bytes())


_RUNNING: list[Meter] = []


def count(multiply_adds: int) -> None:
    """Add to what every running meter has counted."""
    for meter in _RUNNING:
        meter.multiply_adds = (meter.multiply_adds or 0) + multiply_adds


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure what is done inside; ``cost`` of the meter is there when the block has ended, by an error too."""
    meter = Meter()
    try:
        yield meter
    finally:
        meter.stop()


def processor_seconds() -> float:
    """Return the user and system time of this process and those that it has begun; living ones need a /proc."""
    # They are asked first: one that ends meanwhile is counted twice for a moment, and not lost.
    living = sum(map(_processor_seconds, _living()))
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return living + sum(use.ru_utime + use.ru_stime for use in uses)


def _processor_seconds(process: str) -> float:
    # Behind the name in brackets: user and system time of itself, then of its children that have ended, in ticks.
    numbers = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()[11:15]
    return sum(map(int, numbers)) / _TICKS


def resident_bytes() -> int:
    """Return the resident memory of this process and those that it has begun; 0 where the system has no /proc."""
    return sum(_resident(process) for process in ("self", *_living()))


def _living(process: str = "") -> list[str]:
    """Return the living children of a process, by default this one, with their own children and so on."""
    children = _children(process or str(os.getpid()))
    return [*children, *(one for child in children for one in _living(child))]


def _children(process: str) -> list[str]:
    lists = list(Path(f"/proc/{process}/task").glob("*/children"))
    if lists:
        return " ".join(map(_read, lists)).split()
    # A kernel built without these lists: every process names its parent, second behind its own name in brackets.
    stats = Path("/proc").glob("[0-9]*/stat")
    return [path.parent.name for path in stats if _read(path).rpartition(")")[2].split()[1:2] == [process]]


def _resident(process: str) -> int:
    numbers = _read(Path(f"/proc/{process}/statm")).split()
    return int(numbers[1]) * _PAGE if numbers else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        # A thread or a child that has ended, or another system than Linux.
        return ""


def _high_mark() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
