"""What a reader chose: a feed, its order, and who they are; all of it is in the address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

from fastapi import Request

from harken.domain.feedback import GUEST
from harken.domain.feeds import COSMOS, DEFAULT_FEEDS, RANKINGS, Feed
from harken.domain.fields import check_identifier, is_identifier
from harken.services.feed.declarations import Listed

# What the five and the personal feed are, in a few words; the order is said beside them.
ABOUT = {
    "cosmos": "Everything there is.",
    "coherent": "What loses little when it is restructured.",
    "contradictions": "What disagrees with something else here.",
    "axioms": "Layers 1 and 2: what the rest stands on.",
    "handwavy": "Layer 3 with a loss over 0.5: bold, and not yet worked out.",
    "personal": "What you would like most.",
}

OWN_SHOWN = 4
"""How many feeds besides Harken's own are tabs; the others are in a menu."""


class Tab(NamedTuple):
    """A feed to choose."""

    label: str
    address: str
    is_current: bool


class Tabs(NamedTuple):
    """The feeds to choose from: those that are shown at once, and more."""

    shown: list[Tab]
    more: list[Tab]


class Order(NamedTuple):
    """A ranking to choose."""

    name: str
    description: str
    address: str
    is_current: bool
    is_own: bool


@dataclass(frozen=True)
class Choice:
    """What is in the address: `ranking` of None is the feed's own, `named` who it names."""

    feed: str
    ranking: str | None
    user: str
    named: str | None
    root: str = ""

    @classmethod
    def of(cls, request: Request) -> "Choice":
        """Read an address; raises InvalidInput for a reader who cannot be one.

        A reader that the address does not name is the one whom the browser remembers.
        """
        given = request.query_params
        named = given.get("user") or None
        if named is not None:
            check_identifier("user", named)
        return cls(
            feed=given.get("feed") or COSMOS,
            ranking=given.get("ranking") or None,
            user=named or _remembered(request),
            named=named,
            root=request.scope.get("root_path", "").rstrip("/"),
        )

    @property
    def is_guest(self) -> bool:
        """Whether nobody in particular reads."""
        return self.user == GUEST

    def address(self, feed: str, ranking: str | None = None) -> str:
        """Return the address of a feed in an order, for the same reader."""
        chosen = {"feed": None if feed == COSMOS else feed, "ranking": ranking, "user": self.named}
        query = urlencode({name: value for name, value in chosen.items() if value is not None})
        return f"{self.root}/?{query}" if query else f"{self.root}/"

    def of_kblock(self, kblock_id: str) -> str:
        """Return the address of a K-Block's own page, for the same reader."""
        return f"{self.root}/kblock?id={quote(kblock_id, safe='')}{self.reader}"

    @property
    def reader(self) -> str:
        """The end of an address that names the reader, where this one does."""
        return "" if self.named is None else f"&user={quote(self.named, safe='')}"

    def tabs(self, feeds: Sequence[Listed]) -> Tabs:
        """Return all feeds to choose from; the one that is chosen is always shown."""
        tabs = [self._tab(each.feed.name) for each in feeds]
        many = len(DEFAULT_FEEDS) + OWN_SHOWN
        shown = [tab for index, tab in enumerate(tabs) if index < many or tab.is_current]
        return Tabs(shown, [tab for tab in tabs if tab not in shown])

    def _tab(self, name: str) -> Tab:
        label = name.capitalize() if name in DEFAULT_FEEDS else name
        return Tab(label, self.address(name), name == self.feed)

    def orders(self, feed: Feed) -> list[Order]:
        """Return the orders that a feed can have, its own first."""
        own = feed.ranking
        others = [ranking for ranking in RANKINGS.values() if ranking.name != own.name]
        chosen = self.ranking or own.name
        return [
            Order(
                each.name,
                each.description,
                self.address(feed.name, None if each is own else each.name),
                each.name == chosen,
                each is own,
            )
            for each in (own, *others)
        ]


def cookie_name(request: Request) -> str:
    """Return the cookie in which a browser remembers who reads.

    Browsers send a cookie to every port of a host, and this machine may have several services.
    """
    return f"harken_reader_{request.url.port or 'default'}"


def _remembered(request: Request) -> str:
    name = unquote(request.cookies.get(cookie_name(request), ""))
    return name if is_identifier(name) else GUEST
