"""`harken similar`."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.domain.feedback import GUEST
from harken.protocols import presentation
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.services.feed.similar import LIMIT, Neighbours
from harken.services.kblocks.importing import printable


def install(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(similar)


def similar(
    kblock_id: Annotated[str, typer.Argument(metavar="ID", help="The K-Block's id.")],
    user_id: Annotated[str, typer.Option(help="For whom; what they hide is left out.")] = GUEST,
    limit: Annotated[int, typer.Option(help="Items to show, 1 to 100.")] = LIMIT,
    as_json: Json = False,
) -> None:
    """Show the K-Blocks that are most like one. Recorded as a slate, as a page of a feed is."""
    found = with_feeds(lambda service: service.similar(kblock_id, user_id, limit))
    if as_json:
        print_json(presentation.similar(found))
    elif found.items:
        console.print(_table(found))
        console.print("Behaviour and content: each value, and what it adds to the score.")
    else:
        console.print("Nothing is like it yet.")


def _table(found: Neighbours) -> Table:
    table = Table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Title")
    for column in ("Score", "Behaviour", "Content"):
        table.add_column(column, justify="right", no_wrap=True)
    width = max(len(item.id) for item in found.items)
    table.add_column("Id", no_wrap=True, min_width=width)
    for item in found.items:
        parts = (item.explanation or {}).values()
        told = [f"{part.value:.3f} {part.contribution:+.3f}" for part in parts]
        table.add_row(
            str(item.position + 1),
            escape(printable(item.title)),
            f"{item.score:.3f}",
            *told,
            escape(printable(item.id)),
        )
    return table
