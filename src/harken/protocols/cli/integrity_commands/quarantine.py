"""`harken quarantine add`, `release` and `list`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from harken.errors import InvalidInput, Problem, several
from harken.protocols import presentation
from harken.protocols.cli.running import Json, console, print_json, with_session_factory
from harken.protocols.cli.tables import add_names, add_numbers, add_text, make_table, print_table
from harken.services.integrity.quarantine.acts import Decision, Outcome, Quarantine
from harken.services.integrity.quarantine.audit import Act, Entry, InForce
from harken.services.record.admission.quarantines import Target

BY = "cli"
MOST_SHOWN = 100

quarantine = typer.Typer(
    help="Set readers, sessions or events aside, so that they count nothing.",
    no_args_is_help=True,
)

What = Annotated[Target, typer.Argument(metavar="WHAT", help="reader, session or event.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Their ids.")]
File = Annotated[
    Path | None,
    typer.Option("--file", help="A file with more ids, one a line.", exists=True, dir_okay=False),
]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


def install(app: typer.Typer) -> None:
    """Add the group `quarantine`."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command()
def add(
    what: What,
    ids: Ids = None,
    file: File = None,
    reason: Reason = "",
    alert: Annotated[str | None, typer.Option(help="The id of the alert that led to it.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Allow more than a fifth of all events.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set readers, sessions or events aside: their events count nothing from now on."""
    decision = Decision(BY, reason, alert, confirm)
    wanted = _ids(ids, file)
    _print(
        with_session_factory(lambda sessions: Quarantine(sessions).add(what, wanted, decision)),
        as_json=as_json,
    )


@quarantine.command()
def release(
    what: What, ids: Ids = None, file: File = None, reason: Reason = "", as_json: Json = False
) -> None:
    """Let the events of readers or sessions, or single events, count again, exactly as before."""
    decision, wanted = Decision(BY, reason), _ids(ids, file)
    _print(
        with_session_factory(lambda sessions: Quarantine(sessions).release(what, wanted, decision)),
        as_json=as_json,
    )


@quarantine.command("list")
def listed(
    audit: Annotated[
        bool, typer.Option("--audit", help="List all acts, also those that were undone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List what is set aside, or all acts; the latest first, at most 1,000."""
    if audit:
        acts = with_session_factory(lambda sessions: Quarantine(sessions).audit.acts())
        _print_acts(acts, as_json=as_json)
        return
    found = with_session_factory(lambda sessions: Quarantine(sessions).audit.in_force())
    if as_json:
        print_json(presentation.quarantines(found))
    elif not found:
        console.print("Nothing is set aside.")
    else:
        _print_rows(found, ["Set aside", "Since", "By", "Reason"])


def _ids(ids: Sequence[str] | None, file: Path | None) -> list[str]:
    wanted = list(ids or [])
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(Problem("--file", f"{file}: {error}")) from None
        wanted += [line.strip() for line in lines if line.strip()]
    return wanted


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(presentation.quarantine_outcome(outcome))
        return
    for name, since in outcome.already.items():
        at = f"{since:%Y-%m-%d %H:%M}Z"
        console.print(escape(f"Set aside before, since {at}: {outcome.target.value} {name}."))
    if outcome.act_id is None:
        console.print("Nothing changed.")
        return
    is_release = outcome.act is Act.RELEASE
    done = "Released" if is_release else "Set aside"
    state = "count again" if is_release else "do not count now"
    console.print(
        f"{done}: {several(len(outcome.changed), outcome.target.value)}. "
        f"{several(outcome.events, 'event')} of {several(outcome.readers, 'reader')} with "
        f"{several(outcome.kblocks, 'K-Block')} {state}.",
        highlight=False,
    )
    console.print(f"Act {outcome.act_id}.", highlight=False)


def _print_acts(acts: Sequence[Entry], *, as_json: bool) -> None:
    if as_json:
        print_json(presentation.quarantine_acts(acts))
    elif not acts:
        console.print("Nothing was ever set aside.")
    else:
        _print_rows(acts, ["Act", "At", "By", "Reason"])


def _print_rows(rows: Sequence[InForce | Entry], headings: Sequence[str]) -> None:
    table = make_table()
    add_names(table, headings[0])
    add_numbers(table, "Events")
    for heading in headings[1:]:
        add_text(table, heading)
    for row in rows[:MOST_SHOWN]:
        table.add_row(*_cells(row))
    print_table(table)
    if len(rows) > MOST_SHOWN:
        console.print(f"And {len(rows) - MOST_SHOWN} more; --json lists them.")


def _cells(row: InForce | Entry) -> list[Any]:
    name = escape(f"{row.target.value} {row.id or '(erased)'}")
    if isinstance(row, Entry):
        name, at = f"{row.act.value} {name}", row.at
    else:
        at = row.since
    return [name, str(row.events), f"{at:%Y-%m-%d %H:%M}", escape(row.by), escape(row.reason)]
