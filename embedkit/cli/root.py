"""What ``embedkit`` itself takes, before a verb."""

from typing import Annotated

import typer

from embedkit._version import __version__


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options before the verb."""
