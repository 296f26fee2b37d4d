"""`harken kblocks`: show, list, search and delete K-Blocks."""

import sys
from html import unescape
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harken.domain.feedback import GUEST
from harken.domain.fields import check_kept_identifier
from harken.errors import InvalidInput, NotFound, Problem, printable, several
from harken.protocols import presentation
from harken.protocols.cli.running import (
    Json,
    console,
    escaped,
    messages,
    print_json,
    with_feeds,
    with_kblocks,
)
from harken.protocols.cli.tables import (
    add_names,
    add_numbers,
    add_text,
    make_table,
    print_table,
)
from harken.services.feed.search.request import FoundItem, SearchPage, SearchRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore, StoredKBlock
from harken.services.record.comments.store import CommentPage

kblocks = typer.Typer(help="Show, list, search and delete K-Blocks.", no_args_is_help=True)

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of K-Blocks.")]
UserId = Annotated[
    str, typer.Option(help="The reader, whose dismissed and muted K-Blocks are left out.")
]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.")]
Author = Annotated[str | None, typer.Option(help="Only of this author.")]
InFeed = Annotated[str | None, typer.Option("--feed", help="Only what is in this feed.")]
Source = Annotated[
    str | None, typer.Option(help="Only of this source of an import, such as markdown:notes.")
]
Limit = Annotated[int, typer.Option(help="Number of K-Blocks to show, 1 to 100.")]
Cursor = Annotated[str | None, typer.Option(help="The cursor that the previous page printed.")]


def install(app: typer.Typer) -> None:
    """Add the group `kblocks`."""
    app.add_typer(kblocks, name="kblocks")


@kblocks.command()
def show(
    kblock_id: Annotated[str, typer.Argument(metavar="ID", help="The K-Block's id.")],
    as_json: Json = False,
) -> None:
    """Show a K-Block with its content and the latest comments on it."""
    check_kept_identifier("id", kblock_id)

    async def work(service: FeedService) -> tuple[StoredKBlock, CommentPage]:
        stored = await service.kblocks.get(kblock_id)
        if stored is None:
            raise NotFound(f"there is no K-Block {kblock_id!r}")
        return stored, await service.readers.comments.latest_on(kblock_id)

    stored, comments = with_feeds(work)
    if as_json:
        print_json(presentation.stored_kblock(stored) | presentation.comments(comments))
    else:
        _print_kblock(stored)
        _print_comments(comments)


@kblocks.command("list")
def list_(
    tag: Tag = None,
    author: Author = None,
    feed: InFeed = None,
    source: Source = None,
    user_id: UserId = GUEST,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List K-Blocks, the newest first."""
    asked = SearchRequest("", user_id, tag, author, feed, source, limit, cursor)
    _find(asked, as_json=as_json)


@kblocks.command()
def search(
    query: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY...",
            help='Words, a "phrase", -without, begin*; put -- before a query with a dash.',
        ),
    ],
    tag: Tag = None,
    author: Author = None,
    feed: InFeed = None,
    source: Source = None,
    user_id: UserId = GUEST,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """Search titles, texts, tags and authors, the most relevant first."""
    asked = SearchRequest(" ".join(query), user_id, tag, author, feed, source, limit, cursor)
    asked.query()  # a wrong query is refused before the database is opened
    _find(asked, as_json=as_json)


@kblocks.command()
def delete(
    ids: Ids,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; this is needed in scripts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete K-Blocks; events with them stay in the log. Exit code 1 if one did not exist."""
    for kblock_id in ids:
        check_kept_identifier("id", kblock_id)
    if not yes:
        _confirm(ids)

    async def work(store: KBlockStore) -> list[str]:
        return await store.delete(ids)

    deleted = set(with_kblocks(work))
    missing = [kblock_id for kblock_id in dict.fromkeys(ids) if kblock_id not in deleted]
    if as_json:
        print_json({"deleted": sorted(deleted), "missing": missing})
    else:
        for kblock_id in dict.fromkeys(ids):
            state = "deleted" if kblock_id in deleted else "does not exist"
            console.print(f"{escaped(kblock_id)}: {state}", highlight=False)
    raise typer.Exit(1 if missing else 0)


def _confirm(ids: list[str]) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(
            Problem(
                "--yes", "a deletion cannot be undone, and nobody can be asked here: give --yes"
            )
        )
    what = f"the K-Block {ids[0]}" if len(ids) == 1 else f"{len(ids)} K-Blocks"
    if not typer.confirm(f"Delete {printable(what)}? It cannot be undone.", err=True):
        messages.print("Nothing was deleted.")
        raise typer.Exit(1)


def _find(asked: SearchRequest, *, as_json: bool) -> None:
    page = with_feeds(lambda service: service.search.find(asked))
    if as_json:
        print_json(presentation.found(page))
    else:
        _print_page(page)


def _print_page(page: SearchPage) -> None:
    if page.items:
        print_table(_table(page))
        last = page.offset + len(page.items)
        least = "" if page.total_is_exact else "at least "
        places = f"{page.offset + 1} to {last} of {least}{several(page.total, 'K-Block')}."
        console.print(places, highlight=False)
    else:
        console.print("No K-Block is found.")
    if page.hidden:
        verb = "is" if page.hidden == 1 else "are"
        console.print(f"{page.hidden:,} more {verb} hidden from this reader.", highlight=False)
    if page.next_cursor is not None:
        console.print(
            f"Next page: the same command with --cursor={page.next_cursor}", highlight=False
        )


def _table(page: SearchPage) -> Table:
    table = make_table()
    add_numbers(table, "#")
    add_text(table, "K-Block")
    if page.understood:
        add_text(table, "Found in")
    add_names(table, "Id")
    for found in page.items:
        cells: list[str | Text] = [str(found.item.position + 1), _title(found)]
        if page.understood:
            cells.append(", ".join(found.fields))
        table.add_row(*cells, escaped(found.item.id))
    return table


def _title(found: FoundItem) -> Text:
    title, snippet = _marked(found.title), _marked(found.snippet)
    return title.append("\n").append_text(snippet) if snippet.plain else title


def _marked(html: str) -> Text:
    """Return HTML whose only elements are `mark` as text with bold matches."""
    text = Text()
    for part in html.split("<mark>"):
        inside, closed, after = part.partition("</mark>")
        if closed:
            text.append(printable(unescape(inside)), "bold").append(printable(unescape(after)))
        else:
            text.append(printable(unescape(part)))
    return text


def _print_kblock(stored: StoredKBlock) -> None:
    kblock = stored.kblock
    console.print(Text(printable(kblock.title), "bold"))
    facts = {
        "Id": kblock.id, "Kind": kblock.kind, "Layer": kblock.layer, "Author": kblock.author,
        "Tags": ", ".join(kblock.tags), "Principles": ", ".join(kblock.principles),
        "Galois loss": kblock.galois_loss, "Path": kblock.path, "Created": kblock.created_at,
        "Updated": stored.updated_at, "Contradicts": ", ".join(stored.contradicts),
    }  # fmt: skip
    for name, value in facts.items():
        if value not in {None, ""}:
            console.print(f"{name}: {escaped(str(value))}", highlight=False)
    if kblock.content:
        lines = (printable(line) for line in kblock.content.split("\n"))
        console.print(Text("\n" + "\n".join(lines)))


def _print_comments(page: CommentPage) -> None:
    if not page.total:
        return
    shown = len(page.comments)
    of_all = "" if shown == page.total else f" of {page.total}, the latest"
    console.print(Text(f"\nComments: {shown}{of_all}", "bold"))
    for each in page.comments:
        at = "" if each.created_at is None else f", {each.created_at:%Y-%m-%d %H:%M} UTC"
        edited = "" if each.edited_at is None else f", edited {each.edited_at:%Y-%m-%d %H:%M} UTC"
        console.print(Text(f"{printable(each.user_id)}{at}{edited}:"))
        lines = (f"  {printable(line)}" for line in each.text.split("\n"))
        console.print(Text("\n".join(lines)))
