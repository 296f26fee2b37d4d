"""`harken backup`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from harken.config import Settings
from harken.errors import several
from harken.protocols.cli.running import Force, Json, console, escaped, print_json
from harken.services.integrity.backup.sqlite_backup import Backup, back_up

MEGABYTE = 1_000_000


def install(app: typer.Typer) -> None:
    """Add the command `backup`."""
    app.command()(backup)


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Force = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Check only the file, and do not recount its log.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy the SQLite database to a file while servers use it, and verify the copy.

    For PostgreSQL, print the command of `pg_dump` that does it, and end with exit code 1. So does
    a copy whose statistics differ from its log; it is written nevertheless.
    """
    made = asyncio.run(back_up(Settings.load(), file, replace=force, verified=not no_verify))
    if as_json:
        print_json({**made._asdict(), "file": str(made.file)})
    else:
        _print(made)
    raise typer.Exit(1 if made.differences else 0)


def _print(made: Backup) -> None:
    size = f"{made.size / MEGABYTE:.1f} MB"
    console.print(f"{escaped(str(made.file))}: {size}, SQLite finds no fault.", highlight=False)
    if made.unverified is not None:
        console.print(f"Its statistics were not verified: {escaped(made.unverified)}.")
    else:
        found = several(made.differences or 0, "difference")
        console.print(f"{several(made.events or 0, 'event')} recounted: {found}.")
    if made.differences:
        console.print("The database differs in the same way: see `harken verify`.")
