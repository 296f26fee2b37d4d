"""`harken feeds`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harken.errors import InvalidInput, Problem
from harken.protocols import presentation
from harken.protocols.cli.running import (
    Json,
    escaped,
    print_json,
    read_object,
    tell,
    with_feeds,
)
from harken.protocols.cli.tables import add_names, add_text, make_table, print_table
from harken.services.feed.declarations import Listed

feeds = typer.Typer(
    help="List all feeds; store and delete feeds of your own.", invoke_without_command=True
)


def install(app: typer.Typer) -> None:
    """Add the group `feeds`."""
    app.add_typer(feeds, name="feeds")


@feeds.callback()
def listed(context: typer.Context, as_json: Json = False) -> None:
    """List all feeds."""
    if context.invoked_subcommand is not None:
        return
    found = with_feeds(lambda service: service.feeds.listed())
    if as_json:
        print_json({"feeds": [presentation.feed(each) for each in found]})
        return
    table = make_table()
    add_names(table, "Id")
    for heading in ("Description", "Ranking", "Origin"):
        add_text(table, heading)
    for each in found:
        table.add_row(*map(escaped, _facts(each)))
    print_table(table)


def _facts(listed: Listed) -> tuple[str, str, str, str]:
    feed = listed.feed
    return feed.name, feed.description, feed.ranking.name, listed.origin


@feeds.command()
def put(
    feed_id: Annotated[str, typer.Argument(metavar="ID", help="The feed's name.")],
    file: Annotated[
        typer.FileText, typer.Argument(help="The declaration, as JSON; - for standard input.")
    ],
    as_json: Json = False,
) -> None:
    """Store a feed, or replace its declaration."""
    fields = _read(file)
    change = with_feeds(lambda service: service.feeds.put(feed_id, fields))
    done = {"id": feed_id, "status": change.value}
    tell(f"{escaped(feed_id)}: {change.value}", done, as_json=as_json)


def _read(file: Any) -> dict[str, Any]:
    name = Path(file.name).name
    try:
        text = file.read()
    except ValueError as error:
        raise InvalidInput(Problem(name, f"is not UTF-8: {error}")) from None
    return read_object(name, text)


@feeds.command()
def delete(
    feed_id: Annotated[str, typer.Argument(metavar="ID", help="The feed's name.")],
    as_json: Json = False,
) -> None:
    """Delete a stored feed."""
    with_feeds(lambda service: service.feeds.delete(feed_id))
    done = {"id": feed_id, "status": "deleted"}
    tell(f"{escaped(feed_id)}: deleted", done, as_json=as_json)
