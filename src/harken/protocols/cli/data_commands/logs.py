"""`harken import interactions` and `harken export`."""

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from harken.domain.times import checked
from harken.errors import InvalidInput, Problem, several
from harken.protocols.cli.data_commands.imports import INTERRUPTED, imports
from harken.protocols.cli.data_commands.log_options import (
    Actions,
    AsWritten,
    Columns,
    Delimiter,
    Encoding,
    Format,
    MaxSize,
    Timezone,
    bar_of_bytes,
    print_account,
)
from harken.protocols.cli.running import (
    Force,
    Json,
    check_new,
    console,
    messages,
    print_json,
    with_persistence,
)
from harken.services.record.files.files import Reading
from harken.services.record.files.log_reader import ImportSummary
from harken.services.record.files.mapping import LogMapping
from harken.services.record.files.rejects import Rejects
from harken.services.record.files.transfer import LogImport, export_log


def install(app: typer.Typer) -> None:
    """Add the command `export`; `import interactions` belongs to the group `import`."""
    app.command()(export)


@imports.command("interactions")
def import_interactions(
    file: Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet; may be gzipped.")],
    column: Columns = None,
    action: Actions = None,
    timezone: Timezone = None,
    as_written: AsWritten = False,
    format_name: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    max_size: MaxSize = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="A file for the refused records and their reasons, as JSON lines."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check, but record nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Record the events of a log. A repeated import adds only the missing events.

    The fields are those of POST /api/feed/feedback/record. Other common names (timestamp,
    event_type, content_id, person_id…) are recognised, and the summary lists how each column was
    read. Exit code 1 if lines were refused; all others are recorded.
    """
    mapping = LogMapping.parse(column or (), action or (), timezone, as_written=as_written)
    reading = Reading.parse(format_name, delimiter, encoding, max_size)
    with nullcontext() if rejects is None else Rejects(rejects, file) as kept:
        summary = with_persistence(
            lambda persistence: _import(
                LogImport(persistence, mapping, kept), file, reading, dry_run=dry_run
            )
        )
    if as_json:
        print_json({"dry_run": dry_run, **summary.as_json()})
    else:
        _print(summary, dry_run=dry_run)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary.refused or summary.imbalance() else 0)


async def _import(log: LogImport, file: Path, reading: Reading, *, dry_run: bool) -> ImportSummary:
    bar = bar_of_bytes(file)
    with bar:
        task = bar.add_task("")
        try:
            return await log.run(
                file,
                reading,
                dry_run=dry_run,
                progress=lambda done, size: bar.update(task, completed=done, total=size),
            )
        finally:
            bar.stop()
            if log.summary.lines and not log.summary.interrupted:
                messages.print(f"Read to line {log.summary.lines}.", highlight=False)


def print_reading(summary: ImportSummary) -> None:
    """Print the refused lines, and how columns and values were read."""
    print_account(summary)
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
    _print_sum(summary)
    if summary.untimed:
        console.print(f"{summary.untimed} events had no time and got the time of this import.")
    if summary.interrupted:
        console.print(
            f"Interrupted after line {summary.lines}. Repeat the command to record the rest; "
            "events that are already recorded are recognised."
        )


def _print_sum(summary: ImportSummary) -> None:
    if wrong := summary.imbalance():
        messages.print(
            f"[red]The counts do not add up, which is a bug of Harken:[/] {escape(wrong)}."
        )
    elif summary.is_whole:
        tally = summary.tally
        console.print(
            f"Records in the file: {summary.records}, in {tally.lines} lines "
            f"({tally.header} of the header, {tally.blank} blank)."
        )


def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.")],
    format_name: Format = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only events from this time on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Only events before this time (UTC).")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the log to a file that can be imported: a consistent snapshot, in order of time."""
    bounds = [at and aware(at) for at in (since, until)]
    if str(file) != "-":
        check_new(file, force=force)
    elif as_json:
        raise InvalidInput(Problem("--json", "standard output is for the events here"))
    written = with_persistence(
        lambda persistence: export_log(persistence, file, format_name, *bounds, replace=force)
    )
    if as_json:
        print_json({"file": str(file), "events": written})
    else:
        messages.print(f"{several(written, 'event')} written.", highlight=False)


def aware(at: datetime) -> datetime:
    """Return a time with an offset; without one, it is UTC.

    Raises InvalidInput if it is outside the range of times that Harken stores.
    """
    return checked("time", at.replace(tzinfo=UTC) if at.tzinfo is None else at)
