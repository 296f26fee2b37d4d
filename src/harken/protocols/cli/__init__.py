"""The command line `harken`; each module has one command or a group of commands."""

import sys
from functools import cache
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

import harken
from harken.errors import DatabaseUnavailable, HarkenError
from harken.protocols.cli import configuration, demo, detect, experiments, keys, server
from harken.protocols.cli.data_commands import events, imports, logs, upkeep
from harken.protocols.cli.examples import add_examples
from harken.protocols.cli.feed_commands import (
    feed,
    kblocks,
    privacy,
    similar,
    sources,
    stored,
    users,
)
from harken.protocols.cli.integrity_commands import quarantine
from harken.protocols.cli.model_commands import evaluate, registry, report

app = typer.Typer(
    name="harken",
    help="A feedback engine for feeds. HARKEN_DATABASE_URL names the database.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    server, feed, sources, kblocks, similar, stored, users, privacy, events, imports, logs,
    evaluate, detect, registry, report, experiments, upkeep, keys, quarantine, configuration, demo,
):  # fmt: skip
    group.install(app)
add_examples(app)


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
    try:
        _command()()
    except HarkenError as error:
        message = str(error)
        if isinstance(error, DatabaseUnavailable) and error.__cause__:
            # The cause may name hosts and users, so only the command line shows it, not REST.
            message += f" ({str(error.__cause__).splitlines()[0]})"
        Console(stderr=True, soft_wrap=True, emoji=False).print(
            f"[red]harken:[/] {escape(message)}"
        )
        sys.exit(1)
