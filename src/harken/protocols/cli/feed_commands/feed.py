"""`harken feed`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS, parse_weights
from harken.domain.slates import FeedPage, Item
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
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.run import printable

MOST_COLUMNS = 6
"""Signals that can be told beside each other."""


def install(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(feed)


def feed(
    name: Annotated[str, typer.Argument(help=", ".join(DEFAULT_FEEDS))] = "cosmos",
    user_id: Annotated[str | None, typer.Option(help="Who reads; else guest.")] = None,
    ranking: Annotated[str | None, typer.Option(help=", ".join(RANKINGS))] = None,
    weights: Annotated[
        str | None, typer.Option(help="For --ranking weighted: attention:0.5,recency:0.5.")
    ] = None,
    half_life: Annotated[
        str | None, typer.Option(help="For --ranking trending: 6h, or another that is kept.")
    ] = None,
    base_feed: Annotated[
        str | None, typer.Option(help="For the feed `personal`: whose K-Blocks it orders.")
    ] = None,
    max_loss: Annotated[float | None, typer.Option(help="The greatest loss, 0 to 1.")] = None,
    offset: Annotated[int, typer.Option(help="Items to leave out first.")] = 0,
    limit: Annotated[int, typer.Option(help="Items to show, 1 to 100.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what makes each score.")] = False,
    temperature: Annotated[
        float | None, typer.Option(help="How much chance there is, in units of the score.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Settles what chance brings.")] = None,
    most_per_author: Annotated[
        int | None, typer.Option(help="At most so many of one author on a page.")
    ] = None,
    most_per_tag: Annotated[
        int | None, typer.Option(help="At most so many with one tag on a page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a page of a feed. Showing it is recorded as a slate, as when an application asks."""
    request = FeedRequest(
        feed=name,
        user_id=user_id,
        ranking=ranking,
        weights=None if weights is None else parse_weights(weights),
        half_life=half_life,
        base_feed=base_feed,
        max_loss=max_loss,
        offset=offset,
        limit=limit,
        cursor=cursor,
        explain=explain,
        temperature=temperature,
        seed=seed,
        most_per_author=most_per_author,
        most_per_tag=most_per_tag,
    )
    page, absent = with_feeds(lambda service: _ask(service, request))
    if as_json:
        print_json(presentation.page(page))
    elif page.total or not absent.is_all:
        _print(name, page)
    else:
        _print_absent(absent)


class Absent(NamedTuple):
    """Whether there are no K-Blocks at all; and how many events there are then."""

    is_all: bool
    events: int = 0


async def _ask(service: FeedService, request: FeedRequest) -> tuple[FeedPage, Absent]:
    page = await service.page(request)
    if page.total or await service.kblocks.count():
        return page, Absent(is_all=False)
    return page, Absent(is_all=True, events=await service.record.count())


def _print_absent(absent: Absent) -> None:
    console.print("There is no K-Block here.")
    if absent.events:
        known = "1 event is" if absent.events == 1 else f"{absent.events:,} events are"
        console.print(
            f"{known} known of K-Blocks that are not: a log says what was done with which id. "
            "POST /api/feed/rank orders ids alone; to be read in a feed, a K-Block has to come "
            "here itself."
        )
    console.print(
        "Bring some by `harken import markdown`, `rss` or `jsonl`, or by PUT /api/kblocks/{id}."
    )


def _print(name: str, page: FeedPage) -> None:
    explained = page.items[0].explanation if page.items else None
    manners = [_with_ids, _with_ids_below] if explained is None else [_by_signals, _in_words]
    if explained is not None and len(explained) > MOST_COLUMNS:
        manners.remove(_by_signals)
    for manner in manners:
        table = make_table(name.capitalize())
        manner(table, page)
        if fits(table):
            break
    if page.items:
        print_table(table)
    if manner is _by_signals:
        console.print("Each signal: its value, and what it adds to the score.")
    if page.personalization is not None:
        console.print(f"{page.personalization[0].upper()}{page.personalization[1:]}.")
    console.print(_extent(page))
    if page.next_cursor:
        console.print(f"The next page: harken feed {name} --cursor={page.next_cursor}")


def _extent(page: FeedPage) -> str:
    if not page.total:
        return "No K-Block is in this feed, or the reader hides them all."
    shown = f"{page.offset + 1} to {page.offset + len(page.items)} of " if page.items else ""
    return f"{shown}{page.total} K-Blocks."


def _with_ids(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    add_numbers(table, "Layer", "Loss", "Age")
    add_names(table, "Id")
    for item in page.items:
        _add(table, item, _shown(item.title), [*_facts(item), _shown(item.id)])


def _with_ids_below(table: Table, page: FeedPage) -> None:
    _begin(table, page, "Title, id")
    add_numbers(table, "Layer", "Loss", "Age")
    for item in page.items:
        _add(table, item, f"{_shown(item.title)}\n{_shown(item.id)}", _facts(item))


def _by_signals(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    for signal, part in (page.items[0].explanation or {}).items():
        add_numbers(table, f"{signal.capitalize().replace('_', ' ')}\n×{part.weight:g}")
    for item in page.items:
        _add(table, item, _shown(item.title), _contributions(item))


def _in_words(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    add_text(table, "What adds most to the score")
    for item in page.items:
        _add(table, item, _shown(item.title), [_words(item)])


def _begin(table: Table, page: FeedPage, title: str = "Title") -> None:
    add_numbers(table, "#")
    add_text(table, title)
    add_numbers(table, "Score")
    if page.items and page.items[0].propensity is not None:
        add_numbers(table, "Propensity")


def _add(table: Table, item: Item, title: str, told: list[str]) -> None:
    table.add_row(str(item.position + 1), title, *_scored(item), *told)
    if item.contradicts:
        table.add_row("", _shown(f"contradicts {', '.join(item.contradicts)}"))


def _scored(item: Item) -> list[str]:
    likely = [] if item.propensity is None else [f"{item.propensity:.3g}"]
    return [f"{item.score:.3f}", *likely]


def _facts(item: Item) -> list[str]:
    return [
        "" if item.layer is None else str(item.layer),
        "" if item.galois_loss is None else f"{item.galois_loss:.2f}",
        _age(datetime.now(UTC) - item.created_at),
    ]


def _contributions(item: Item) -> list[str]:
    parts = (item.explanation or {}).values()
    return [f"{part.value:.3f}\n{part.contribution:+.3f}" for part in parts]


def _words(item: Item) -> str:
    parts = (item.explanation or {}).items()
    ordered = sorted(parts, key=lambda part: -abs(part[1].contribution))
    return ", ".join(f"{name} {part.contribution:+.3f}" for name, part in ordered)


def _shown(text: str) -> str:
    return escape(printable(text))


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"
