"""`harken events`: the log in the order of commits."""

import sys
from typing import Annotated

import typer
from pydantic_core import to_json

from harken.protocols.api.following.shapes import event_as_json
from harken.protocols.cli.running import Json, with_feeds
from harken.services.feed.service import FeedService
from harken.services.record.log_order.following import LONGEST_WAIT, MOST_EVENTS


def install(app: typer.Typer) -> None:
    """Add the command `events`."""
    app.command()(events)


def events(
    after: Annotated[
        str | None, typer.Option(help="The cursor of an event: begin after it.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End after so many events; default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more events, until Ctrl-C.")] = False,
    as_json: Json = False,  # noqa: ARG001 — the output is JSON in any case
) -> None:
    """Print the events of the log as JSON lines, in the order in which they were committed."""
    with_feeds(lambda service: _print(service, after, limit, follow=follow))


async def _print(
    service: FeedService, after: str | None, limit: int | None, *, follow: bool
) -> None:
    left = limit
    while left is None or left > 0:
        most = MOST_EVENTS if left is None else min(left, MOST_EVENTS)
        page = await service.followed.page(after, most, LONGEST_WAIT if follow else 0)
        for each in page.events:
            sys.stdout.buffer.write(to_json(event_as_json(each)) + b"\n")
        sys.stdout.buffer.flush()
        after, left = page.cursor, None if left is None else left - len(page.events)
        if not follow and not page.has_more:
            return
