"""`harken verify` and `harken rebuild`."""

import typer
from rich.markup import escape

from harken.config import Settings
from harken.protocols.cli.running import Json, console, print_json, with_persistence


def install(app: typer.Typer) -> None:
    """Add the commands `verify` and `rebuild`."""
    app.command()(verify)
    app.command()(rebuild)


def verify(as_json: Json = False) -> None:
    """Recount the log and compare all statistics with it; exit code 1 if any differs."""
    found = with_persistence(lambda persistence: persistence.verify())
    if as_json:
        print_json(found)
    else:
        rows = ", ".join(f"{count} in {table}" for table, count in found.rows.items())
        aside = f", {found.set_aside} of them set aside" if found.set_aside else ""
        console.print(f"{found.events} events recounted{aside}; rows compared: {rows}.")
        for example in found.examples:
            console.print(
                escape(f"{example.table} {example.key}: {example.kept}, not {example.recounted}")
            )
        console.print(f"{found.differences} differences.")
        if found.differences:
            console.print("`harken rebuild` rebuilds the statistics from the log.")
    raise typer.Exit(1 if found.differences else 0)


def rebuild() -> None:
    """Rebuild all statistics from the log, with the half-lives of HARKEN_HALF_LIVES.

    Recording waits until it is done.
    """
    half_lives = Settings.load().half_lives
    events = with_persistence(lambda persistence: persistence.rebuild(half_lives))
    console.print(f"The statistics of {events} events were rebuilt.")
