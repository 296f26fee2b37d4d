"""`harken user`."""

from typing import Annotated

import typer
from rich.markup import escape

from harken.domain.fields import check_identifier, check_kept_identifier
from harken.domain.preferences import Preferences
from harken.errors import printable
from harken.protocols import presentation
from harken.protocols.cli.running import (
    Json,
    JsonAnyway,
    console,
    print_json,
    read_object,
    tell,
    with_feeds,
)
from harken.services.feed.service import FeedService

users = typer.Typer(
    help="Preferences and profile of a reader; export and erase what is held on them.",
    no_args_is_help=True,
)

UserId = Annotated[str, typer.Argument(metavar="USER", help="The reader's id.")]


def install(app: typer.Typer) -> None:
    """Add the group `user`."""
    app.add_typer(users, name="user")


@users.command()
def preferences(
    user_id: UserId,
    new: Annotated[
        str | None,
        typer.Option(
            "--set", help='All preferences, as JSON, such as {"muted_tags": ["politics"]}.'
        ),
    ] = None,
    as_json: JsonAnyway = False,
) -> None:
    """Print the preferences of a reader as JSON; with --set, replace them first."""
    del as_json
    check_identifier("user_id", user_id)
    given = None if new is None else Preferences.parse(read_object("--set", new))

    async def work(service: FeedService) -> Preferences:
        if given is not None:
            await service.readers.prefer(user_id, given)
        return await service.readers.preferences(user_id)

    print_json(with_feeds(work))


@users.command()
def profile(user_id: UserId, as_json: Json = False) -> None:
    """Print the interests that Harken inferred from the events of a reader, and their use."""
    found = with_feeds(lambda service: service.profile(user_id))
    if as_json:
        print_json(presentation.interests(found))
    else:
        console.print(escape("\n".join(map(printable, found.summary))))


@users.command()
def reset(user_id: UserId, as_json: Json = False) -> None:
    """Ignore the events of a reader until now in personal rankings; nothing is deleted."""
    check_kept_identifier("user_id", user_id)
    with_feeds(lambda service: service.readers.reset_profile(user_id))
    done = {"user_id": user_id, "status": "reset"}
    tell("The profile is reset. It uses events from now on.", done, as_json=as_json)
