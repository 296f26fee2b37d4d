"""`harken feed`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple

import typer
from rich.table import Table

from harken.domain.exploration import EXPLORATIONS
from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS, parse_weights
from harken.domain.slates import FeedPage, Item
from harken.errors import several
from harken.protocols import presentation
from harken.protocols.cli.feed_commands.reasons import print_reasons
from harken.protocols.cli.running import Json, console, escaped, print_json, with_feeds
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

MOST_COLUMNS = 6
"""The highest number of signals that are shown in columns."""


def install(app: typer.Typer) -> None:
    """Add the command `feed`."""
    app.command()(feed)


def feed(
    name: Annotated[str, typer.Argument(help=", ".join(DEFAULT_FEEDS))] = "cosmos",
    user_id: Annotated[str | None, typer.Option(help="The reader; default: guest.")] = None,
    ranking: Annotated[str | None, typer.Option(help=", ".join(RANKINGS))] = None,
    weights: Annotated[
        str | None, typer.Option(help="For --ranking weighted: attention:0.5,recency:0.5.")
    ] = None,
    half_life: Annotated[
        str | None,
        typer.Option(help="For --ranking trending: 6h, or another of HARKEN_HALF_LIVES."),
    ] = None,
    base_feed: Annotated[
        str | None, typer.Option(help="For the feed `personal`: the feed whose K-Blocks it ranks.")
    ] = None,
    max_loss: Annotated[float | None, typer.Option(help="The highest Galois loss, 0 to 1.")] = None,
    offset: Annotated[int, typer.Option(help="Number of items to skip.")] = 0,
    limit: Annotated[int, typer.Option(help="Number of items to show, 1 to 100.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="The cursor that the previous page printed.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each item is at its place.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Show the parts of each score, as numbers.")
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(help="Temperature of random exploration, in units of the score.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random order.")] = None,
    explore: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(EXPLORATIONS)}: give what is little known a chance."),
    ] = None,
    most_per_author: Annotated[
        int | None, typer.Option(help="At most this many items of one author on a page.")
    ] = None,
    most_per_tag: Annotated[
        int | None, typer.Option(help="At most this many items with the same tag on a page.")
    ] = None,
    most_per_source: Annotated[
        int | None, typer.Option(help="At most this many items of one source on a page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a page of a feed. The page is recorded as a slate, as one over REST is."""
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
        explain=explain or figures,
        temperature=temperature,
        seed=seed,
        explore=explore,
        most_per_author=most_per_author,
        most_per_tag=most_per_tag,
        most_per_source=most_per_source,
    )
    page, stored = with_feeds(lambda service: _load(service, request))
    if as_json:
        print_json(presentation.page(page))
    elif page.total or stored.has_kblocks:
        _print(name, page, in_sentences=explain and not figures)
    else:
        _print_empty(stored.events)


class Stored(NamedTuple):
    """Whether the database has K-Blocks; `events` is counted only if it has none."""

    has_kblocks: bool
    events: int = 0


async def _load(service: FeedService, request: FeedRequest) -> tuple[FeedPage, Stored]:
    page = await service.page(request)
    if page.total or await service.kblocks.count():
        return page, Stored(has_kblocks=True)
    return page, Stored(has_kblocks=False, events=await service.record.count())


def _print_empty(events: int) -> None:
    console.print("The database has no K-Blocks.")
    if events:
        console.print(
            f"The log has {several(events, 'event')}. Events contain only the ids of K-Blocks. "
            "POST /api/feed/rank ranks ids; for a feed, import the K-Blocks themselves under the "
            "same ids."
        )
    console.print(
        "Add K-Blocks by `harken import markdown`, `rss` or `jsonl`, or by PUT /api/kblocks/{id}."
    )


def _print(name: str, page: FeedPage, *, in_sentences: bool) -> None:
    if in_sentences and page.items:
        print_reasons(page)
    else:
        _print_table(name, page)
    if page.personalization is not None:
        console.print(f"{page.personalization[0].upper()}{page.personalization[1:]}.")
    console.print(_extent(page))
    if page.next_cursor:
        console.print(f"Next page: harken feed {name} --cursor={page.next_cursor}")


def _print_table(name: str, page: FeedPage) -> None:
    explained = page.items[0].explanation if page.items else None
    layouts = [_with_ids, _with_ids_below] if explained is None else [_by_signals, _in_words]
    if explained is not None and len(explained) > MOST_COLUMNS:
        layouts.remove(_by_signals)
    for layout in layouts:
        table = make_table(name.capitalize())
        layout(table, page)
        if fits(table):
            break
    if page.items:
        print_table(table)
    if layout is _by_signals:
        console.print("For each signal: its value, and its contribution to the score.")


def _extent(page: FeedPage) -> str:
    if not page.total:
        return "This feed has no K-Blocks, or the reader dismissed or muted all of them."
    shown = f"{page.offset + 1} to {page.offset + len(page.items)} of " if page.items else ""
    return f"{shown}{several(page.total, 'K-Block')}."


def _with_ids(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    add_numbers(table, "Layer", "Loss", "Age")
    add_names(table, "Id")
    for item in page.items:
        _add(table, item, escaped(item.title), [*_facts(item), escaped(item.id)])


def _with_ids_below(table: Table, page: FeedPage) -> None:
    _begin(table, page, "Title, id")
    add_numbers(table, "Layer", "Loss", "Age")
    for item in page.items:
        _add(table, item, f"{escaped(item.title)}\n{escaped(item.id)}", _facts(item))


def _by_signals(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    for signal, part in (page.items[0].explanation or {}).items():
        add_numbers(table, f"{signal.capitalize().replace('_', ' ')}\n×{part.weight:g}")
    for item in page.items:
        _add(table, item, escaped(item.title), _contributions(item))


def _in_words(table: Table, page: FeedPage) -> None:
    _begin(table, page)
    add_text(table, "Contributions, largest first")
    for item in page.items:
        _add(table, item, escaped(item.title), [_words(item)])


def _begin(table: Table, page: FeedPage, title: str = "Title") -> None:
    add_numbers(table, "#")
    add_text(table, title)
    add_numbers(table, "Score")
    if page.items and page.items[0].propensity is not None:
        add_numbers(table, "Propensity")


def _add(table: Table, item: Item, title: str, cells: list[str]) -> None:
    table.add_row(str(item.position + 1), title, *_scored(item), *cells)
    if item.contradicts:
        table.add_row("", escaped(f"contradicts {', '.join(item.contradicts)}"))


def _scored(item: Item) -> list[str]:
    propensity = [] if item.propensity is None else [f"{item.propensity:.3g}"]
    return [f"{item.score:.3f}", *propensity]


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


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"
