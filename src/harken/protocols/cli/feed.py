"""`harken feed`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.domain.feeds import DEFAULT_FEEDS, RANKINGS, parse_weights
from harken.domain.slates import Contribution, FeedPage, Item
from harken.protocols import presentation
from harken.protocols.cli.running import Json, console, print_json, with_feeds
from harken.services.feed.asking import FeedRequest
from harken.services.kblocks.importing import printable

MOST_COLUMNS = 6
"""Signals that a terminal has room for beside each other."""


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
    page = with_feeds(lambda service: service.page(request))
    if as_json:
        print_json(presentation.page(page))
    else:
        _print(name, page)


def _print(name: str, page: FeedPage) -> None:
    explained = page.items[0].explanation if page.items else None
    is_long = explained is not None and len(explained) > MOST_COLUMNS
    describe = _facts if explained is None else _in_words if is_long else _contributions
    table = Table(title=name.capitalize(), title_justify="left")
    _add_columns(table, page, explained)
    for item in page.items:
        table.add_row(str(item.position + 1), _shown(item.title), *_scored(item), *describe(item))
        if item.contradicts:
            table.add_row("", _shown(f"contradicts {', '.join(item.contradicts)}"))
    console.print(table)
    if explained is not None and not is_long:
        console.print("Each signal: its value, and what it adds to the score.")
    if page.personalization is not None:
        console.print(f"{page.personalization[0].upper()}{page.personalization[1:]}.")
    shown = f"{page.offset + 1} to {page.offset + len(page.items)} of " if page.items else ""
    console.print(f"{shown}{page.total} K-Blocks.")
    if page.next_cursor:
        console.print(f"The next page: harken feed {name} --cursor={page.next_cursor}")


def _add_columns(table: Table, page: FeedPage, explained: dict[str, Contribution] | None) -> None:
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Title")
    table.add_column("Score", justify="right", no_wrap=True)
    if page.items and page.items[0].propensity is not None:
        table.add_column("Propensity", justify="right", no_wrap=True)
    if explained is None:
        for column in ("Layer", "Loss", "Age"):
            table.add_column(column, justify="right", no_wrap=True)
        width = max((len(item.id) for item in page.items), default=2)
        table.add_column("Id", no_wrap=True, min_width=width)
    elif len(explained) > MOST_COLUMNS:
        table.add_column("What adds most to the score")
    else:
        for signal, part in explained.items():
            name = signal.capitalize().replace("_", " ")
            table.add_column(f"{name}\n×{part.weight:g}", justify="right")


def _scored(item: Item) -> list[str]:
    likely = [] if item.propensity is None else [f"{item.propensity:.3g}"]
    return [f"{item.score:.3f}", *likely]


def _facts(item: Item) -> list[str]:
    return [
        "" if item.layer is None else str(item.layer),
        "" if item.galois_loss is None else f"{item.galois_loss:.2f}",
        _age(datetime.now(UTC) - item.created_at),
        _shown(item.id),
    ]


def _contributions(item: Item) -> list[str]:
    parts = (item.explanation or {}).values()
    return [f"{part.value:.3f}\n{part.contribution:+.3f}" for part in parts]


def _in_words(item: Item) -> list[str]:
    parts = (item.explanation or {}).items()
    ordered = sorted(parts, key=lambda part: -abs(part[1].contribution))
    return [", ".join(f"{name} {part.contribution:+.3f}" for name, part in ordered)]


def _shown(text: str) -> str:
    return escape(printable(text))


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"
