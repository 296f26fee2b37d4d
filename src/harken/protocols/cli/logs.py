"""`harken import interactions` and `harken export`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from harken.domain.times import checked
from harken.protocols.cli.imports import INTERRUPTED, MOST_SHOWN, imports
from harken.protocols.cli.running import Json, console, messages, print_json, with_persistence
from harken.services.feed.mapping import LogMapping
from harken.services.feed.persistence import FeedFeedbackPersistence
from harken.services.feed.transfer import ImportSummary, LogImport, export_log


def install(app: typer.Typer) -> None:
    """Add the verbs; the group of imports adds itself."""
    app.command()(export)


Format = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv, tsv or parquet; else by the file's name."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="FIELD=COLUMN", help="Which column is a field; may be repeated."
    ),
]
Actions = Annotated[
    list[str] | None,
    typer.Option(
        "--action",
        metavar="VALUE=ACTION[:TYPE]",
        help="What a value of the action column means, such as LIKE=engage:like; repeatable.",
    ),
]
Timezone = Annotated[
    str | None, typer.Option(help="What times without an offset are in, such as UTC.")
]


def bar_of_bytes(file: Path) -> Progress:
    """Return a bar that shows how much of a file is read, on a terminal."""
    return Progress(
        TextColumn(escape(file.name)), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=messages, disable=not messages.is_terminal,
    )  # fmt: skip


@imports.command("interactions")
def import_interactions(
    file: Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet; gzip or not.")],
    column: Columns = None,
    action: Actions = None,
    timezone: Timezone = None,
    format_name: Format = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check, and record nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Record the events of a log. Importing it again adds only what is missing.

    Fields are those of POST /api/feed/feedback/record; common other names (timestamp, event_type,
    content_id, person_id…) are understood, and the summary says how each column was read. Exit
    code 1 where lines were refused: the others are recorded.
    """
    mapping = LogMapping.parse(column or (), action or (), timezone)
    summary = with_persistence(
        lambda persistence: _import(persistence, mapping, file, format_name, dry_run=dry_run)
    )
    if as_json:
        print_json({"dry_run": dry_run, **summary.__dict__})
    else:
        _print(summary, dry_run=dry_run)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary.refused else 0)


async def _import(
    persistence: FeedFeedbackPersistence,
    mapping: LogMapping,
    file: Path,
    format_name: str | None,
    *,
    dry_run: bool,
) -> ImportSummary:
    bar = bar_of_bytes(file)
    log = LogImport(persistence, mapping)
    with bar:
        task = bar.add_task("")
        try:
            return await log.run(
                file,
                format_name,
                dry_run=dry_run,
                progress=lambda done, size: bar.update(task, completed=done, total=size),
            )
        finally:
            bar.stop()
            if log.summary.lines and not log.summary.interrupted:
                messages.print(f"Read to line {log.summary.lines}.", highlight=False)


def print_reading(summary: ImportSummary) -> None:
    """Print which lines were refused, and how columns were read."""
    for line, reason in summary.refusals[:MOST_SHOWN]:
        messages.print(f"[red]line {line}:[/] {escape(reason)}")
    if summary.refused > MOST_SHOWN:
        messages.print(f"… and {summary.refused - MOST_SHOWN} more refused lines")
    if read_as := [f"{c} as {n}" for c, n in summary.columns.items() if c != n]:
        console.print(f"Columns read: {escape(', '.join(read_as))}.")
    if summary.ignored:
        console.print(f"Columns ignored: {escape(', '.join(summary.ignored))}.")


def _print(summary: ImportSummary, *, dry_run: bool) -> None:
    print_reading(summary)
    added = "would be recorded" if dry_run else "added"
    console.print(
        f"{summary.added} {added}, {summary.repeated} repeated, {summary.refused} refused."
    )
    if summary.untimed:
        console.print(f"{summary.untimed} events had no time, and got the time of this import.")
    if summary.interrupted:
        console.print(
            f"Interrupted after line {summary.lines}. The same command records the rest: what is "
            "recorded already is recognised."
        )


def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
    format_name: Format = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time (UTC).")] = None,
) -> None:
    """Write the log to a file that can be imported again, as of one moment, in order of time."""
    bounds = [at and aware(at) for at in (since, until)]
    written = with_persistence(
        lambda persistence: export_log(persistence, file, format_name, *bounds)
    )
    messages.print(f"{written} events written.", highlight=False)


def aware(at: datetime) -> datetime:
    """Take a time without an offset for UTC; raises InvalidInput where it is not kept."""
    return checked("time", at.replace(tzinfo=UTC) if at.tzinfo is None else at)
