"""The `tally` command."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from tally.cli import federation, fit, fits, forecast, fusion, models, project, serve, user

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Fit a series, get a version, forecast from it; learn rows, ask what they tell.\n\n"
        "Exit codes: 0 done; 1 refused, or the fit ended without a served version; 2 wrong "
        "command line; 3 the service is away or busy, try again; 130 interrupted."
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tally {version('tally')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Hold the options of `tally` itself."""


for command in (
    serve.up,
    serve.broker,
    serve.worker,
    serve.fit_worker,
    fit.fit,
    forecast.forecast,
    models.models,
    models.versions,
    models.rollback,
    fits.fits,
    fits.retry,
):
    app.command()(command)
app.add_typer(project.app, name="project")
app.add_typer(fusion.app, name="fusion")
app.add_typer(federation.app, name="federation")
app.add_typer(user.app, name="user")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
