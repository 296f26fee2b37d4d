"""`harken archive`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from harken.config import Settings
from harken.errors import InvalidInput, Problem, several
from harken.protocols.cli.running import (
    Json,
    console,
    escaped,
    messages,
    print_json,
    with_session_factory,
)
from harken.services.integrity.archive.archiving import Archive, Archived, Plan, midnight

Before = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="The first day that stays in the log, UTC: older events go."
    ),
]
Days = Annotated[
    int | None,
    typer.Option(min=2, max=36_500, help="Days that stay; default: HARKEN_LOG_DAYS."),
]
Out = Annotated[
    Path | None, typer.Option(help="The folder of the files; default: HARKEN_ARCHIVE_DIR.")
]


def install(app: typer.Typer) -> None:
    """Add the command `archive`."""
    app.command()(archive)


def archive(
    before: Before = None,
    days: Days = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go, and change nothing.")
    ] = False,
    out: Out = None,
    shrink: Annotated[
        bool,
        typer.Option("--shrink", help="At the end, make the database smaller; recording waits."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take old events out of the log, to Parquet files. Statistics do not change.

    Events from before then are refused from now on. A run that was interrupted is continued by the
    next one. It needs the extra `parquet`.
    """
    settings = Settings.load()
    begin = _begin(before, days, settings.log_days)
    folder = out or settings.archive_dir

    async def plan(sessions: Any) -> Plan:
        return await Archive(sessions, folder).plan(begin)

    async def run(sessions: Any) -> Archived:
        work = Archive(sessions, folder)
        done = await work.run(begin, _show)
        if shrink:
            await work.shrink(datetime.now(UTC) - begin)
        return done

    if dry_run:
        _print_plan(with_session_factory(plan), as_json=as_json)
    else:
        _print_done(with_session_factory(run), as_json=as_json)


def _begin(before: datetime | None, days: int | None, log_days: int | None) -> datetime:
    if before is not None and days is not None:
        raise InvalidInput(Problem("--before", "give either --before or --days"))
    if before is not None:
        return before.replace(tzinfo=UTC)
    kept = days or log_days
    if kept is None:
        raise InvalidInput(
            Problem("--days", "say what stays in the log: --days 365, --before 2026-01-01, or set "
                    "HARKEN_LOG_DAYS")
        )  # fmt: skip
    return midnight(datetime.now(UTC) - timedelta(days=kept))


def _show(events: int) -> None:
    if messages.is_terminal:
        messages.print(f"{events:,} events", end="\r", highlight=False)


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        days = [each._asdict() for each in plan.days]
        print_json(
            {
                "before": plan.before, "complete_since": plan.complete_since,
                "events": plan.events, "set_aside": plan.set_aside, "days": days,
            }
        )  # fmt: skip
        return
    console.print(
        f"Would take {several(plan.events, 'event')} of {several(len(plan.days), 'day')}, from "
        f"before {plan.before:%Y-%m-%d}, out of the log.",
        highlight=False,
    )
    _print_aside(plan.set_aside)


def _print_done(done: Archived, *, as_json: bool) -> None:
    if as_json:
        print_json(done._asdict() | {"folder": str(done.folder)})
        return
    console.print(
        f"{several(done.events, 'event')} went from the log to {escaped(str(done.folder))}, "
        f"which has {several(done.files, 'file')}.",
        highlight=False,
    )
    console.print(f"The log is complete since {done.complete_since:%Y-%m-%d}.", highlight=False)
    _print_aside(done.set_aside)


def _print_aside(events: int) -> None:
    if events:
        console.print(
            f"{events} older events stay, since they are set aside: release or erase them.",
            highlight=False,
        )
