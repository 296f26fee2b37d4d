"""`harken detect`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from harken.domain.feedback import Interaction
from harken.errors import InvalidInput, Problem, printable, several
from harken.protocols.cli.data_commands.log_options import (
    Actions,
    AsWritten,
    Delimiter,
    Encoding,
    Format,
    LogFile,
    MaxSize,
    Timezone,
    bar_of_bytes,
    print_account,
)
from harken.protocols.cli.data_commands.logs import print_reading
from harken.protocols.cli.integrity_commands.database_detection import (
    detect_in_database,
    print_run,
)
from harken.protocols.cli.running import TIME_FORMATS, Json, console, messages, print_json
from harken.protocols.cli.tables import add_names, add_numbers, add_text, make_table, print_table
from harken.services.integrity.count_files import parse_columns, read_counts
from harken.services.integrity.detectors import (
    DetectorSettings,
    EventLog,
    EventRow,
    Findings,
    run_detectors,
)
from harken.services.integrity.detectors.event_log import MICROS
from harken.services.integrity.detectors.findings import iso
from harken.services.integrity.detectors.volume import find_in_series
from harken.services.record.files.accounts import Account
from harken.services.record.files.files import Reading
from harken.services.record.files.log_reader import ImportSummary, LogReader
from harken.services.record.files.mapping import LogMapping

MOST_SHOWN = 20
PER_READER = DetectorSettings.alarms_per_reader_week
PER_SERIES = DetectorSettings.alarms_per_series_week


def install(app: typer.Typer) -> None:
    """Add the command `detect`."""
    app.command()(detect)


def detect(
    events: LogFile = None,
    counts: Annotated[
        Path | None,
        typer.Option(help="A series: the same formats, with the columns time and count."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=TIME_FORMATS,
            help="On the database: look at what happened from this time on (UTC).",
        ),
    ] = None,
    last: Annotated[
        str | None, typer.Option(help="On the database: look at the last 1h, 7d, …")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="On the database: store no alerts.")
    ] = False,
    automatic: Annotated[
        bool,
        typer.Option("--automatic", help="Set aside readers, as HARKEN_QUARANTINE_SCORE allows."),
    ] = False,
    alarms: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=1.0,
            help="False alarms allowed in a week: per reader (default 0.001), or per series "
            "(default 0.25).",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the isolation forest.")] = 0,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="FIELD=COLUMN",
            help="The column that has a field; may be repeated. With --counts: time, count.",
        ),
    ] = None,
    action: Actions = None,
    timezone: Timezone = None,
    as_written: AsWritten = False,
    format_name: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    max_size: MaxSize = None,
    as_json: Json = False,
) -> None:
    """Find readers who are not people in a log, or unusual volume in a series of counts.

    Without a file, the log is that of the configured database, and the alerts are stored.

    The columns of a log are read as by `harken import interactions`. Exit code 1 if lines were
    refused; all others are used.
    """
    if events is not None and counts is not None:
        raise InvalidInput(Problem("events", "give either --events FILE or --counts FILE"))
    settings = DetectorSettings(alarms_per_reader_week=alarms or PER_READER, seed=seed)
    if events is None and counts is None:
        run = detect_in_database(settings, since, last, store=not dry_run, automatic=automatic)
        _report(run.findings, as_json=as_json)
        if not as_json and not dry_run:
            print_run(run)
        return
    reading = Reading.parse(format_name, delimiter, encoding, max_size)
    if events is not None:
        mapping = LogMapping.parse(column or (), action or (), timezone, as_written=as_written)
        found, summary = _in_log(events, mapping, reading, settings)
    elif counts is not None:
        zone = LogMapping.parse(timezone=timezone).timezone
        read = read_counts(counts, parse_columns(column or ()), zone, reading)
        found, summary = find_in_series(read.series, alarms or PER_SERIES), read.summary
    _print_reading(summary, as_json=as_json)
    _report(found, as_json=as_json)
    raise typer.Exit(1 if summary.refused else 0)


def _print_reading(summary: Account, *, as_json: bool) -> None:
    if as_json:
        if summary.refused:
            messages.print(f"Refused lines: {summary.refused}; without --json they are listed.")
    elif isinstance(summary, ImportSummary):
        print_reading(summary)
    else:
        print_account(summary)


def _report(found: Findings, *, as_json: bool) -> None:
    for name, reason in found.failures.items():
        messages.print(f"The detector {name} failed: {escape(reason)}", highlight=False)
    if as_json:
        print_json(found.as_json())
    else:
        print_findings(found)


def _in_log(
    file: Path, mapping: LogMapping, reading: Reading, settings: DetectorSettings
) -> tuple[Findings, Account]:
    reader = LogReader(mapping, _timed)
    return run_detectors(_log(reader, file, reading), settings=settings), reader.summary


def _timed(interaction: Interaction) -> Interaction:
    if interaction.occurred_at is None:
        raise InvalidInput(Problem("occurred_at", "is required to judge an event"))
    return interaction


def _log(reader: LogReader, file: Path, reading: Reading) -> EventLog:
    bar = bar_of_bytes(file)
    with bar:
        task = bar.add_task("")
        chunks = reader.chunks(
            file, reading, lambda done, size: bar.update(task, completed=done, total=size)
        )
        return EventLog.from_rows(_row(each) for chunk in chunks for _, each in chunk.events)


def _row(interaction: Interaction) -> EventRow:
    at = interaction.occurred_at
    return EventRow(
        interaction.user_id,
        interaction.kblock_id,
        interaction.action,
        0 if at is None else round(at.timestamp() * MICROS),
        interaction.dwell_time_ms,
        interaction.session_id,
    )


def print_findings(found: Findings) -> None:
    """Print alerts as a table, and how many readers they accuse."""
    if found.alerts:
        table = make_table(f"Alerts: {len(found.alerts)}")
        for heading in ("Detector", "About"):
            add_names(table, heading)
        add_numbers(table, "Score", "Readers")
        add_names(table, "From")
        add_text(table, "Evidence")
        for alert in found.alerts[:MOST_SHOWN]:
            table.add_row(
                alert.detector, escape(f"{alert.kind} {printable(alert.id)}"),
                f"{alert.score:.3f}", str(len(alert.members)), iso(alert.start)[:16],
                escape(alert.evidence.words),
            )  # fmt: skip
        print_table(table)
        if (more := len(found.alerts) - MOST_SHOWN) > 0:
            console.print(f"… and {more} more; --json has all.")
    else:
        console.print("No alerts.")
    if not found.reader_scores:
        return
    accused = {each for alert in found.alerts for each in alert.members}
    console.print(f"{len(accused)} of {several(len(found.reader_scores), 'reader')} in alerts.")
