"""`harken user export`, `erase` and `readmit`; `harken kblock erase` and `readmit`."""

import os
import sys
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from harken.domain.fields import check_kept_identifier
from harken.errors import InvalidInput, Problem
from harken.protocols import presentation
from harken.protocols.cli.feed_commands.users import UserId, users
from harken.protocols.cli.running import (
    Force,
    Json,
    JsonAnyway,
    check_new,
    console,
    messages,
    print_json,
    tell,
    with_feeds,
    with_session_factory,
)
from harken.services.feed.service import FeedService
from harken.services.integrity.erasure import Erasure, check_erasable
from harken.services.integrity.export import PersonalData
from harken.services.integrity.receipts import Receipt
from harken.services.providers import get_session_factory
from harken.services.record.admission.subjects import Subject, check_person

kblocks = typer.Typer(help="Erase the log of a K-Block.", no_args_is_help=True)

KBlockId = Annotated[str, typer.Argument(metavar="ID", help="The K-Block's id.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count what would be removed, and remove nothing.")
]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild-file/--no-rebuild-file",
        help="SQLite: rebuild the file at the end, so that no remains of rows are left in it.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; this is needed in scripts.")]
WHAT = {
    Subject.READER: "everything that is held on this reader",
    Subject.KBLOCK: "all events with this K-Block",
}


def install(app: typer.Typer) -> None:
    """Add the group `kblock`; the other commands belong to the group `user`."""
    app.add_typer(kblocks, name="kblock")


@users.command()
def export(
    user_id: UserId,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write, readable for you only; default: standard output."),
    ] = None,
    force: Force = False,
    as_json: JsonAnyway = False,
) -> None:
    """Write everything that is held on a reader, as JSON."""
    del as_json
    check_kept_identifier("id", user_id)
    if output is not None:
        check_new(output, force=force, name="--output")
    check_person(user_id)

    async def work(service: FeedService) -> None:
        interests = presentation.interests(await service.profile(user_id))
        data = PersonalData(await get_session_factory())
        with ExitStack() as stack:
            file = None if output is None else stack.enter_context(_private(output))
            # Closed here, also if the reader of a pipe has gone.
            async with aclosing(data.export(user_id, interests)) as pieces:
                async for piece in pieces:
                    typer.echo(piece, nl=False) if file is None else file.write(piece)

    with_feeds(work)


def _private(path: Path) -> Any:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise InvalidInput(Problem("--output", f"{path}: {error.strerror}")) from None
    return os.fdopen(descriptor, "wb")


@users.command("erase")
def erase_user(
    user_id: UserId,
    dry_run: DryRun = False,
    yes: Yes = False,
    rebuild_file: Rebuild = True,
    as_json: Json = False,
) -> None:
    """Erase everything that is held on a reader, and refuse their events from now on.

    An erasure that was interrupted is continued.
    """
    if dry_run or yes or _confirmed(Subject.READER, user_id):
        _erase(Subject.READER, user_id, dry_run=dry_run, rebuild_file=rebuild_file, as_json=as_json)


@users.command("readmit")
def readmit_user(user_id: UserId, as_json: Json = False) -> None:
    """Record the events of an erased reader again, from now on."""
    with_session_factory(lambda sessions: Erasure(sessions).readmit(Subject.READER, user_id))
    done = {"user_id": user_id, "status": "readmitted"}
    tell("Events of this reader are recorded again.", done, as_json=as_json)


@kblocks.command("erase")
def erase_kblock(
    kblock_id: KBlockId,
    dry_run: DryRun = False,
    yes: Yes = False,
    rebuild_file: Rebuild = True,
    as_json: Json = False,
) -> None:
    """Erase all events with a K-Block, and refuse further ones; the K-Block itself stays.

    An erasure that was interrupted is continued.
    """
    if dry_run or yes or _confirmed(Subject.KBLOCK, kblock_id):
        _erase(
            Subject.KBLOCK, kblock_id, dry_run=dry_run, rebuild_file=rebuild_file, as_json=as_json
        )


@kblocks.command("readmit")
def readmit_kblock(kblock_id: KBlockId, as_json: Json = False) -> None:
    """Record events with a K-Block again, from now on."""
    with_session_factory(lambda sessions: Erasure(sessions).readmit(Subject.KBLOCK, kblock_id))
    done = {"kblock_id": kblock_id, "status": "readmitted"}
    tell("Events with this K-Block are recorded again.", done, as_json=as_json)


def _confirmed(subject: Subject, own_id: str) -> bool:
    """Ask before an erasure. Raises InvalidInput where nobody can answer."""
    check_erasable(subject, own_id)
    if not sys.stdin.isatty():
        raise InvalidInput(
            Problem(
                "--yes", "an erasure cannot be undone, and nobody can be asked here: give --yes"
            )
        )
    found = with_session_factory(lambda sessions: Erasure(sessions).preview(subject, own_id))
    if not any(found.counts.values()):
        return True  # an earlier erasure may have to be continued; if there is none, that is said
    messages.print(f"This removes {_counted(found)}.", highlight=False)
    if typer.confirm(f"Erase {WHAT[subject]}? It cannot be undone.", err=True):
        return True
    messages.print("Nothing was erased.")
    raise typer.Exit(1)


def _counted(receipt: Receipt) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in receipt.counts.items() if count)
    return counts or "nothing"


def _erase(
    subject: Subject, own_id: str, *, dry_run: bool, rebuild_file: bool, as_json: bool
) -> None:
    async def work(sessions: Any) -> Receipt:
        erasure = Erasure(sessions)
        if dry_run:
            return await erasure.preview(subject, own_id)
        return await erasure.erase(subject, own_id, rebuild_file=rebuild_file)

    receipt = with_session_factory(work)
    if as_json:
        print_json(presentation.receipt(receipt))
    else:
        _print(receipt)


def _print(receipt: Receipt) -> None:
    done = "Would remove" if receipt.receipt_id is None else "Removed"
    console.print(f"{done}: {_counted(receipt)}.", highlight=False)
    if receipt.models:
        console.print(
            f"{receipt.models} models of the learned ranking may have been trained with these "
            "events. `harken models list` marks them; `harken train --promote` makes a new one.",
            highlight=False,
        )
    if receipt.receipt_id is not None:
        console.print(f"Receipt {receipt.receipt_id}; digest {receipt.digest}.", highlight=False)
    if receipt.missing_files:
        console.print(
            f"{receipt.missing_files} files of dropped events cannot be read here, and may have "
            "rows of this id. Run this command again where they are.",
            highlight=False,
        )
    elif not receipt.is_compacted:
        console.print(
            "Remains of rows may be left in the file of the database: run this command again when "
            "no other process uses it, without --no-rebuild-file."
        )
