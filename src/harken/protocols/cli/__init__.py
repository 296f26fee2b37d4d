"""The command line `harken`; each module has one command or a group of commands."""

import sys
from functools import cache
from typing import Any

import typer

import harken
from harken.errors import DatabaseUnavailable, HarkenError, first_line
from harken.protocols.cli.command_list import CommandList, give_way

app = typer.Typer(
    name="harken",
    cls=CommandList,
    help="A feedback engine for feeds. HARKEN_DATABASE_URL names the database.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:  # noqa: FBT001 — Typer's signature
    if requested:
        typer.echo(f"harken {harken.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(  # noqa: FBT001 — Typer's way to declare a flag
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    del version


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line; a HarkenError is printed as a message, with exit code 1."""
    give_way(sys.argv[1:])
    try:
        _command()()
    except HarkenError as error:
        # Imported here, as all that not every command needs.
        from rich.console import Console  # noqa: PLC0415
        from rich.markup import escape  # noqa: PLC0415

        message = str(error)
        if isinstance(error, DatabaseUnavailable) and error.__cause__:
            # The cause may name hosts and users, so only the command line shows it, not REST.
            message += f" ({first_line(error.__cause__)})"
        Console(stderr=True, soft_wrap=True, emoji=False).print(
            f"[red]harken:[/] {escape(message)}"
        )
        sys.exit(1)
