"""`harken verify` and `harken rebuild`."""

import dataclasses
from typing import Annotated

import typer
from rich.markup import escape

from harken.config import Settings
from harken.database import Database
from harken.errors import several
from harken.protocols.cli.running import (
    Json,
    console,
    print_json,
    tell,
    with_kblocks,
    with_persistence,
    with_session_factory,
)
from harken.services.record import verification
from harken.services.record.verification import Archived, Verification


def install(app: typer.Typer) -> None:
    """Add the commands `verify` and `rebuild`."""
    app.command()(verify)
    app.command()(rebuild)


def verify(as_json: Json = False) -> None:
    """Recount the log and compare all statistics with it, and the search index with the K-Blocks.

    Exit code 1 if anything differs.
    """
    found = with_persistence(lambda persistence: persistence.verify())
    index = with_kblocks(lambda store: store.search_index.check())
    if as_json:
        print_json({**dataclasses.asdict(found), "search": index._asdict()})
    else:
        rows = ", ".join(f"{count} in {table}" for table, count in found.rows.items())
        aside = f", {found.set_aside} of them set aside" if found.set_aside else ""
        console.print(f"{several(found.events, 'event')} recounted{aside}; rows compared: {rows}.")
        _print_begin(found)
        for example in found.examples:
            console.print(
                escape(f"{example.table} {example.key}: {example.kept}, not {example.recounted}")
            )
        if index.differences:
            console.print(
                f"Search index: {index.missing} of {index.kblocks} K-Blocks are missing or "
                f"outdated, {index.orphaned} rows have no K-Block."
            )
        console.print(f"{several(found.differences + index.differences, 'difference')}.")
        if found.differences:
            console.print("`harken rebuild` rebuilds the statistics from the log.")
        elif index.differences:
            console.print("`harken rebuild --search` rebuilds what differs in the search index.")
    raise typer.Exit(1 if found.differences + index.differences else 0)


def _print_begin(found: Verification) -> None:
    if found.complete_since is not None:
        console.print(_begin(found), highlight=False)


def _begin(found: Verification | Archived) -> str:
    since = f"{found.complete_since:%Y-%m-%d %H:%MZ}"
    return (
        f"The log is complete since {since}: {found.archived} events from before then are counted "
        "in the baseline."
    )


def rebuild(
    search: Annotated[
        bool, typer.Option("--search", help="Only the search index; nothing waits for it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild all statistics from the log, with the half-lives of HARKEN_HALF_LIVES.

    Recording waits until it is done. What differs in the search index is written again, too.
    """
    rows = with_kblocks(lambda store: store.search_index.rebuild())
    indexed = f"{rows} rows of the search index were rebuilt."
    if search:
        tell(indexed, {"search": rows}, as_json=as_json)
        return
    half_lives = Settings.load().half_lives
    events = with_persistence(lambda persistence: persistence.rebuild(half_lives))
    archived = with_session_factory(lambda sessions: verification.archived(Database(sessions)))
    words = f"The statistics of {events} events were rebuilt."
    if archived.complete_since is not None:
        words = f"{words} {_begin(archived)}"
    if rows:
        words = f"{words} {indexed}"
    tell(words, {"events": events, "search": rows}, as_json=as_json)
