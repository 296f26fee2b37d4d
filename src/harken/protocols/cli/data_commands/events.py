"""`harken record` and `harken analytics`."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from harken.domain.feedback import FeedbackAction, Interaction
from harken.errors import printable
from harken.protocols.cli.running import Json, console, print_json, with_persistence
from harken.protocols.cli.tables import add_numbers, add_text, make_table, print_table
from harken.services.record.files.mapping import json_object


def install(app: typer.Typer) -> None:
    """Add the commands `record` and `analytics`."""
    app.command()(record)
    app.command()(analytics)


def record(
    user_id: str,
    kblock_id: str,
    action: Annotated[str, typer.Argument(help=", ".join(FeedbackAction))],
    dwell_time_ms: Annotated[int | None, typer.Option(help="Time spent, in milliseconds.")] = None,
    interaction_type: Annotated[str | None, typer.Option(help="Such as edit or comment.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object.")] = None,
    interaction_id: Annotated[
        str | None, typer.Option(help="The id of the event; repeating it records nothing.")
    ] = None,
    occurred_at: Annotated[
        str | None, typer.Option(help="When it happened, such as 2025-12-25T10:30:00Z.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(help="The `request_id` of the page it came from.")
    ] = None,
    position: Annotated[int | None, typer.Option(help="The position in that feed, from 0.")] = None,
    session_id: Annotated[str | None, typer.Option(help="The session it belongs to.")] = None,
    as_json: Json = False,
) -> None:
    """Record one event: what a reader did with a K-Block."""
    given = {name: value for name, value in locals().items() if name in Interaction.model_fields}
    fields = {name: value for name, value in given.items() if value is not None}
    if metadata is not None:
        fields["metadata"] = json_object(metadata)
    interaction = Interaction.parse(fields)
    recorded = with_persistence(lambda persistence: persistence.record(interaction))
    if as_json:
        print_json({"success": True, **recorded._asdict()})
    else:
        console.print(
            f"{'Already recorded' if recorded.duplicate else 'Recorded'}: {recorded.interaction_id}"
        )


def analytics(
    limit: Annotated[int, typer.Option(help="Number of K-Blocks to show, 1 to 100.")] = 20,
    min_interactions: Annotated[
        int, typer.Option(help="Leave out K-Blocks with fewer interactions.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Show the most engaged K-Blocks, totals, and the activity of the last 24 hours."""
    found = with_persistence(lambda persistence: persistence.get_analytics(limit, min_interactions))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    table = make_table("Most engaged K-Blocks")
    add_text(table, "K-Block")
    add_numbers(table, "Score", "Views", "Engaged", "Dismissed")
    add_text(table, "Last engaged (UTC)")
    for row in found["most_engaged_kblocks"]:
        counts = (str(row[name]) for name in ("view_count", "engage_count", "dismiss_count"))
        last: datetime | None = row["last_engaged_at"]
        table.add_row(
            escape(printable(row["kblock_id"])),
            f"{row['attention_score']:.4f}",
            *counts,
            f"{last:%Y-%m-%d %H:%M}" if last else "",
        )
    if table.row_count:
        print_table(table)
    else:
        console.print("No K-Block has this many interactions.")
    totals, recent = found["totals"], found["recent_activity"]
    dwell = totals["avg_dwell_time_sec"]
    console.print(
        f"Views: {totals['views']}. Engagements: {totals['engagements']}. "
        f"Dismissals: {totals['dismissals']}. "
        f"Mean dwell time: {'unknown' if dwell is None else f'{dwell:.1f} s'}. "
        f"Interactions in the last 24 hours: {recent['interactions_24h']}."
    )
