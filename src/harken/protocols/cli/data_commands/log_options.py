"""What the verbs that read files of events share: options, a bar, and an account."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from harken.protocols.cli.data_commands.imports import MOST_SHOWN
from harken.protocols.cli.running import console, messages
from harken.services.kblocks.importers.run import printable
from harken.services.record.files.accounts import Account

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
AsWritten = Annotated[
    bool,
    typer.Option("--as-written", help="Take ids as they are written, also 12345.0 and NULL."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(help="What separates the values of a CSV, such as ; or tab; else by its header."),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="A text's encoding, such as windows-1252; else by its mark, else UTF-8."),
]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", help="How much may come out of a compressed file; else 4GiB."),
]


def bar_of_bytes(file: Path) -> Progress:
    """Return a bar that shows how much of a file is read, on a terminal."""
    return Progress(
        TextColumn(escape(file.name)), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=messages, disable=not messages.is_terminal,
    )  # fmt: skip


def print_account(account: Account) -> None:
    """Print which lines were refused, by which reasons, and what was assumed of others."""
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
