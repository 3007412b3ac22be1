"""What a person sees: tables, a progress bar on a terminal, plain lines elsewhere."""

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

# Rich breaks lines at 80 columns where there is no terminal; a log or a pipe wants whole rows.
_PIPE_WIDTH = 260
_SECONDS_BETWEEN_LINES = 15.0


def console() -> "Console":
    """Return the console of standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, a missing number as null."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print rows under their headings; numbers to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Names come from files and CSVs: Text keeps their brackets from being read as markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console().print(table)


def say(text: str, *, error: bool = False) -> None:
    """Print a line as it is."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def interval(value: dict[str, Any]) -> str:
    """Return ``.951 (.937 to .964)``."""
    if value["value"] is None:
        return "-"
    if value.get("low") is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


class Steps:
    """Progress on standard error: a bar with rate and time left on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def start(self, what: str, total: int, unit: str = "images") -> None:
        """A run over ``total`` images, or what else the ``unit`` is, begins."""
        self._what, self._total, self._unit, self._done = what, total, unit, 0
        self._begun = self._said = time.monotonic()
        if total and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(what, total=total, rate="")
            self._bar.start()

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        now = time.monotonic()
        rate = self._done / max(now - self._begun, 1e-9)
        told = f"{rate:.1f} {self._unit}/s" if rate >= 1 else f"{1 / rate:.1f} s for each"
        if self._bar is not None:
            self._bar.update(self._task, advance=count, rate=told)
        elif now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            left = (self._total - self._done) / rate
            self.note(f"{self._what}: {self._done} of {self._total}, {told}, {left:.0f} s left")

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        if self._bar is None:
            say(text, error=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """The run is over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
