"""The command line: each verb parses its words, calls one function of the API and prints what came back."""

import sys
from typing import TYPE_CHECKING

from embedkit.cli.stopping import stop_on_signals, stopped
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    import typer

_STOPPED = 130


def _app() -> "typer.Typer":
    import typer

    from embedkit.cli import (
        align,
        baseline,
        cache,
        compare,
        demo,
        doctor,
        extract,
        fewshot,
        models,
        probe,
        root,
        sets,
        show,
        zeroshot,
    )

    app = typer.Typer(
        name="embedkit",
        help="Training-free embedding analysis for medical imaging: extract once, probe, defend the number.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # what stands in brackets is text, not markup
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root.root)
    app.command("extract")(extract.extract)
    app.command("probe")(probe.probe)
    app.command("zeroshot")(zeroshot.zeroshot)
    app.command("fewshot")(fewshot.fewshot)
    app.command("align")(align.align)
    app.command("compare")(compare.compare)
    app.command("show")(show.show)
    app.add_typer(models.app, name="models")
    app.add_typer(sets.app, name="datasets")
    app.add_typer(baseline.app, name="baseline")
    app.add_typer(cache.app, name="cache")
    app.command("demo")(demo.demo)
    app.command("doctor")(doctor.doctor)
    return app


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error and exit status 2."""
    stop_on_signals()
    try:
        _app()()
    except EmbedkitError as error:
        _end(f"error: {error}", _STOPPED if isinstance(error.__cause__, KeyboardInterrupt) else 2)
    except KeyboardInterrupt:
        _end("stopped", _STOPPED)
    except SystemExit as end:
        # typer makes this status of a KeyboardInterrupt, and nothing else makes it.
        if end.code == _STOPPED:
            _end("stopped", _STOPPED)
        raise


def _end(text: str, status: int) -> None:
    stopped()
    print(text, file=sys.stderr)
    sys.exit(status)
