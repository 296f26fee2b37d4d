"""`harken similar`."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.domain.feedback import GUEST
from harken.errors import printable
from harken.protocols import presentation
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.protocols.cli.tables import (
    add_names,
    add_numbers,
    add_text,
    fits,
    make_table,
    print_table,
)
from harken.services.feed.similar import LIMIT, SimilarItems


def install(app: typer.Typer) -> None:
    """Add the command `similar`."""
    app.command()(similar)


def similar(
    kblock_id: Annotated[str, typer.Argument(metavar="ID", help="The K-Block's id.")],
    user_id: Annotated[
        str, typer.Option(help="The reader; K-Blocks that they dismissed are left out.")
    ] = GUEST,
    limit: Annotated[int, typer.Option(help="Number of items to show, 1 to 100.")] = LIMIT,
    as_json: Json = False,
) -> None:
    """Show the K-Blocks that are most similar to one. The list is recorded as a slate."""
    found = with_feeds(lambda service: service.similar(kblock_id, user_id, limit))
    if as_json:
        print_json(presentation.similar(found))
    elif found.items:
        _print(found)
    else:
        console.print("There are no similar K-Blocks yet.")


def _print(found: SimilarItems) -> None:
    for has_id_column in (True, False):
        table = _table(found, has_id_column=has_id_column)
        if fits(table):
            break
    print_table(table)
    console.print("For behaviour and content: the value, and its contribution to the score.")


def _table(found: SimilarItems, *, has_id_column: bool) -> Table:
    table = make_table()
    add_numbers(table, "#")
    add_text(table, "Title" if has_id_column else "Title, id")
    add_numbers(table, "Score", "Behaviour", "Content")
    if has_id_column:
        add_names(table, "Id")
    for item in found.items:
        parts = (item.explanation or {}).values()
        cells = [f"{part.value:.3f} {part.contribution:+.3f}" for part in parts]
        title, own = (escape(printable(text)) for text in (item.title, item.id))
        named = [title] if has_id_column else [f"{title}\n{own}"]
        last = [own] if has_id_column else []
        table.add_row(str(item.position + 1), *named, f"{item.score:.3f}", *cells, *last)
    return table
