"""Why the items of a page are at their places, as lines of text."""

from rich.markup import escape
from rich.padding import Padding

from harken.domain.slates import FeedPage, Item, Reason
from harken.errors import printable
from harken.protocols.cli.running import console
from harken.services.feed.explanations.reasons import HELD_BACK, RAISED

_SIGNS = {RAISED: "+", HELD_BACK: "\N{MINUS SIGN}"}


def print_reasons(page: FeedPage) -> None:
    """Print each item with the reasons for its place: what raised it, then what held it back."""
    for item in page.items:
        _print(item)
    directions = {each.direction for item in page.items for each in item.reasons or ()}
    if directions & set(_SIGNS):
        others = "" if page.candidates is None else f" among {page.candidates:,} candidates"
        console.print(
            f"+ raised it, \N{MINUS SIGN} held it back; shares are of what sets it apart{others}."
        )


def _print(item: Item) -> None:
    title = escape(printable(item.title))
    console.print(f"{item.position + 1}. [bold]{title}[/bold]  {escape(printable(item.id))}")
    for reason in item.reasons or ():
        console.print(Padding(_line(reason), (0, 0, 0, 3), expand=False))


def _line(reason: Reason) -> str:
    text = escape(printable(reason.text))
    sign = _SIGNS.get(reason.direction)
    return text if sign is None else f"{sign} {text} ({reason.figures['share']:.0%})"
