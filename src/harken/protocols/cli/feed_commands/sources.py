"""`harken sources`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harken.errors import InvalidInput, Problem, several
from harken.protocols import sources_as_json
from harken.protocols.cli.running import (
    Force,
    Json,
    check_new,
    console,
    escaped,
    messages,
    print_json,
    tell,
    with_feeds,
)
from harken.protocols.cli.tables import add_names, add_numbers, add_text, make_table, print_table
from harken.services.feed.service import FeedService
from harken.services.sources.refreshing import Refreshed, Result
from harken.services.sources.store import MOST_LISTED, Listed

FAILED = {Result.FAILED, Result.GONE}

sources = typer.Typer(
    no_args_is_help=True, help="Feeds on the web that are subscribed to; `serve` refreshes them."
)
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a source, as `list` prints it.")]


def install(app: typer.Typer) -> None:
    """Add the group `sources`."""
    app.add_typer(sources, name="sources")


@sources.command("list")
def listed(
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED)] = MOST_LISTED,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """List sources by their titles, with what went wrong."""
    found, total = with_feeds(lambda service: service.sources.listed(limit, offset))
    if as_json:
        shown = [sources_as_json.listed(each, None, for_readers=False) for each in found]
        print_json({"sources": shown, "total": total})
        return
    if not total:
        console.print("There are no sources. `harken sources add URL` subscribes to one.")
        return
    table = make_table()
    add_names(table, "Id")
    for heading in ("Title", "Address"):
        add_text(table, heading)
    add_numbers(table, "Items")
    add_text(table, "State")
    for each in found:
        table.add_row(*map(escaped, _facts(each)))
    print_table(table)


def _facts(found: Listed) -> tuple[str, str, str, str, str]:
    source = found.source
    read = f"read {source.succeeded_at:%Y-%m-%d %H:%M}" if source.succeeded_at else "not read yet"
    url = sources_as_json.source(source)["url"]
    return source.source_id, source.shown_title, url, str(found.items), source.error or read


@sources.command()
def add(
    url: Annotated[str, typer.Argument(help="A feed, or a page that names its feed.")],
    title: Annotated[str | None, typer.Option(help="A title; default: the feed's own.")] = None,
    as_json: Json = False,
) -> None:
    """Subscribe to a feed, and import what it has now."""
    found = with_feeds(lambda service: service.sources.subscribe(url, title=title))
    words = _words(found.refreshed)
    tell(words, sources_as_json.subscribed(found), as_json=as_json)
    for other in () if as_json else found.others:
        messages.print(f"The page names another feed: {escaped(other)}", highlight=False)


@sources.command()
def remove(source_id: Id, as_json: Json = False) -> None:
    """Remove a source: it is not asked any more. Its items stay."""
    with_feeds(lambda service: service.sources.remove(source_id))
    done = {"id": source_id, "status": "removed"}
    tell(f"{escaped(source_id)}: removed; its items stay", done, as_json=as_json)


@sources.command()
def refresh(
    source_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Some sources; default: all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask sources now. Exit code 1 if some failed; all others are imported."""
    found = with_feeds(lambda service: _refresh(service, source_ids or []))
    if as_json:
        print_json({"sources": [sources_as_json.refreshed(each) for each in found]})
    else:
        for each in found:
            console.print(_words(each), highlight=False)
        console.print(f"Asked {several(len(found), 'source')}.", highlight=False)
    raise typer.Exit(1 if any(each.result in FAILED for each in found) else 0)


async def _refresh(service: FeedService, source_ids: list[str]) -> list[Refreshed]:
    if source_ids:
        wanted = [await service.sources.get(each) for each in source_ids]
    else:
        wanted = [each for each in await service.sources.store.all() if not each.is_gone]
    return await service.sources.refresher.refresh(wanted)


@sources.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An OPML file.")], as_json: Json = False
) -> None:
    """Subscribe to the feeds of a list; `serve` or `refresh` reads them."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(Problem("file", f"{file}: {error.strerror}")) from None
    found = with_feeds(lambda service: service.sources.import_opml(content))
    for each in () if as_json else found.left_out:
        messages.print(f"[yellow]Left out:[/] {escaped(each)}", highlight=False)
    words = f"{several(found.added, 'source')} added, {found.known} known before."
    tell(words, found._asdict(), as_json=as_json)


@sources.command()
def export(
    file: Annotated[Path, typer.Argument(help="The OPML file to write.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write all sources as an OPML file, for other readers of feeds."""
    check_new(file, force=force)
    content = with_feeds(lambda service: service.sources.export_opml())
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInput(Problem("file", f"{file}: {error.strerror}")) from None
    tell(f"Written to {escaped(str(file))}.", {"file": str(file)}, as_json=as_json)


def _words(found: Refreshed) -> str:
    source: dict[str, Any] = sources_as_json.source(found.source)
    title = f"{escaped(source['title'])} ({source['id']})"
    if found.result in FAILED:
        return f"[red]{title}:[/] {escaped(source['error'] or 'failed')}"
    counts = f"{found.added} new, {found.updated} changed"
    partly = f"; {escaped(source['error'])}" if source["error"] else ""
    return f"{title}: {counts if found.result is Result.NEWS else 'nothing new'}{partly}"
