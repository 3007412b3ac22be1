"""The command line: each verb parses its words, calls one function of the API and prints what came back."""

import sys

import typer

from embedkit.cli import cache, catalogs, demo, doctor, extract, probe
from embedkit.errors import EmbedkitError

app = typer.Typer(
    name="embedkit",
    help="Training-free embedding analysis for medical imaging: extract once, probe, defend the number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(catalogs.root)
app.command("extract")(extract.extract)
app.command("probe")(probe.probe)
app.command("show")(probe.show)
app.command("models")(catalogs.models)
app.command("datasets")(catalogs.datasets)
app.add_typer(cache.app, name="cache")
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error and exit status 2."""
    try:
        app()
    except EmbedkitError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 2)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
