"""Images that could not be read: they are named on standard error, and decide the exit status."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from embedkit.cli.console import say

_LISTED = 20


def print_failed(failed: Sequence[Mapping[Any, Any]], lists_all: str) -> None:
    """Print the path, reason and message of each, of many the first.

    Args:
        failed: rows of a ledger. lists_all: the command or option that prints all of them.
    """
    for one in failed[:_LISTED]:
        say(f"  failed: {one['path']!r}: {one['reason']}: {one['message']}", error=True)
    if len(failed) > _LISTED:
        say(f"  and {len(failed) - _LISTED} more: {lists_all} lists all", error=True)


def end_with(failed: int, allowed: int) -> None:
    """End with status 1 where more images failed than may."""
    if failed > allowed:
        raise typer.Exit(1)
