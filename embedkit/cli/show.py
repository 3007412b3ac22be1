"""``embedkit show``: saved results, printed again."""

from pathlib import Path
from typing import Annotated

import typer

from embedkit.cli import options
from embedkit.cli.console import print_json, say
from embedkit.cli.fewshot import draw_curves, print_table_of
from embedkit.cli.probe import Figures, Tables, write_more
from embedkit.cli.results import check_tables, print_results


def show(
    files: Annotated[list[Path], typer.Argument(help="Result files that a verb of embedkit saved.")],
    table: Tables = None,
    figures: Figures = None,
    as_json: options.Json = False,
) -> None:
    """Print the table of saved results again, or write it and its figures to files."""
    from embedkit import many, saved
    from embedkit.probing import ProbeResult
    from embedkit.text.fewshot import FewShotResult

    check_tables(table or [])
    tables = [FewShotResult.load(path) for path in files if saved.is_table(path)]
    found = many.ranked([ProbeResult.load(path) for path in files if not saved.is_table(path)])
    if as_json:
        print_json({"results": [*(one.to_dict() for one in found), *(one.to_dict() for one in tables)]})
    else:
        if found:
            print_results(found)
        for one in tables:
            print_table_of(one)
    if found:
        write_more(found, table, figures, as_json)
    for path in [drawn for one in tables if figures for drawn in draw_curves(one, figures)]:
        say(f"written: {path}", error=as_json)
