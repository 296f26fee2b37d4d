"""Options, progress bar and summary of the commands that read files of events."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from harken.errors import printable
from harken.protocols.cli.data_commands.imports import MOST_SHOWN
from harken.protocols.cli.running import console, messages
from harken.services.record.files.accounts import Account

Format = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv, tsv or parquet; default: by the name of the file."),
]
LogFile = Annotated[
    Path | None, typer.Option(help="A log: JSON lines, CSV or Parquet; may be gzipped.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="FIELD=COLUMN", help="The column that has a field; may be repeated."
    ),
]
Actions = Annotated[
    list[str] | None,
    typer.Option(
        "--action",
        metavar="VALUE=ACTION[:TYPE]",
        help="The action that a value of the action column means, such as LIKE=engage:like; may be "
        "repeated.",
    ),
]
Timezone = Annotated[
    str | None, typer.Option(help="The time zone of times without an offset, such as UTC.")
]
AsWritten = Annotated[
    bool,
    typer.Option("--as-written", help="Accept ids as they are written, also 12345.0 and NULL."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="The separator of values in a CSV, such as ; or tab; default: by its header."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="The encoding, such as windows-1252; default: by the byte order mark, or UTF-8."
    ),
]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", help="The highest size of a decompressed file; default: 4GiB."),
]


def bar_of_bytes(file: Path) -> Progress:
    """Return a progress bar of the bytes read of a file, which a terminal shows."""
    return Progress(
        TextColumn(escape(file.name)), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=messages, disable=not messages.is_terminal,
    )  # fmt: skip


def print_account(account: Account) -> None:
    """Print the refused lines with their reasons, and the assumptions about other lines."""
    for line, reason in account.refusals[:MOST_SHOWN]:
        messages.print(f"[red]line {line}:[/] {escape(printable(reason))}")
    if account.refused > MOST_SHOWN:
        messages.print(f"… and {account.refused - MOST_SHOWN} more refused lines")
        for reason, count in sorted(account.reasons.items(), key=lambda each: -each[1]):
            messages.print(f"  {count} refused: {escape(printable(reason))}")
    for kind, count in account.notes.items():
        first = account.first_noted[kind]
        console.print(f"{escape(kind)}: {count} (the first at line {first}).")
    for remark in account.remarks:
        console.print(escape(printable(remark)))
