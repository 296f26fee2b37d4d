"""The parameters of the reader's address: feed, ranking and user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

from fastapi import Request

from harken.domain.feedback import GUEST
from harken.domain.feeds import COSMOS, DEFAULT_FEEDS, RANKINGS, Feed
from harken.domain.fields import check_identifier, is_identifier
from harken.protocols.http.route_rules import refusal, rules_of
from harken.protocols.http.security import caller_of
from harken.protocols.pages.wording.feeds import filled_by
from harken.services.access.rights import SignIn
from harken.services.feed.declarations import Listed

# Descriptions of the default feeds on the reader page, which shows the ranking separately.
ABOUT = {
    "cosmos": "All notes.",
    "coherent": "Notes that lose little when they are restructured.",
    "contradictions": "Notes that contradict another note.",
    "axioms": "Layers 1 and 2: the foundations.",
    "handwavy": "Layer 3 with a loss over 0.5: bold ideas, not yet worked out.",
    "personal": "Notes that you will probably like most, first.",
}

OWN_SHOWN = 4
"""The number of your own feeds that are tabs; further ones are in a menu."""


class Tab(NamedTuple):
    """A tab or menu entry of a feed."""

    label: str
    address: str
    is_current: bool
    tip: str


class Tabs(NamedTuple):
    """The feeds: those that are tabs, and those in the menu."""

    shown: list[Tab]
    more: list[Tab]


class Order(NamedTuple):
    """A menu entry of a ranking; `is_own` marks the feed's default ranking."""

    name: str
    description: str
    address: str
    is_current: bool
    is_own: bool


@dataclass(frozen=True)
class Selection:
    """Parameters of an address of the reader.

    `ranking` is None for the feed's own ranking. `named` is the user that the address names, None
    if it names none. `root` is the path that the application is mounted at. `sign_in` is how the
    browser is signed in, None if it is not; `may_edit` whether the request may change notes.
    """

    feed: str
    ranking: str | None
    user: str
    named: str | None
    root: str = ""
    sign_in: SignIn | None = None
    may_edit: bool = True

    @classmethod
    def of(cls, request: Request) -> "Selection":
        """Parse the address of a request; raises InvalidInput for an invalid user, or Forbidden.

        If the address names no user, the cookie of the browser does; else the user is `guest`.
        """
        given = request.query_params
        named = given.get("user") or None
        if named is not None:
            check_identifier("user", named)
        caller = caller_of(request.scope)
        user = caller.acts_as(named) if caller.is_bound else named or _remembered(request)
        return cls(
            feed=given.get("feed") or COSMOS,
            ranking=given.get("ranking") or None,
            user=user,
            named=named,
            root=request.scope.get("root_path", "").rstrip("/"),
            sign_in=caller.sign_in,
            may_edit=refusal(rules_of("PUT", "/api/kblocks/x"), caller) is None,
        )

    @property
    def is_guest(self) -> bool:
        """Whether the user is `guest`."""
        return self.user == GUEST

    def address(self, feed: str, ranking: str | None = None) -> str:
        """Return the address of a feed with a ranking, for the same user."""
        parameters = {
            "feed": None if feed == COSMOS else feed,
            "ranking": ranking,
            "user": self.named,
        }
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"{self.root}/?{query}" if query else f"{self.root}/"

    def of_kblock(self, kblock_id: str) -> str:
        """Return the address of the page of a K-Block, for the same user."""
        return f"{self.root}/kblock?id={quote(kblock_id, safe='')}{self.user_parameter}"

    @property
    def user_parameter(self) -> str:
        """The query parameter of the user, with a leading &; empty if the address names none."""
        return "" if self.named is None else f"&user={quote(self.named, safe='')}"

    def tabs(self, feeds: Sequence[Listed]) -> Tabs:
        """Return the tabs of all feeds; the selected feed is never in the menu only."""
        tabs = [self._tab(each.feed) for each in feeds]
        many = len(DEFAULT_FEEDS) + OWN_SHOWN
        shown = [tab for index, tab in enumerate(tabs) if index < many or tab.is_current]
        return Tabs(shown, [tab for tab in tabs if tab not in shown])

    def _tab(self, feed: Feed) -> Tab:
        name = feed.name
        label = name.capitalize() if name in DEFAULT_FEEDS else name
        return Tab(label, self.address(name), name == self.feed, filled_by(feed))

    def orders(self, feed: Feed) -> list[Order]:
        """Return the rankings that a feed can have, its own first."""
        own = feed.ranking
        others = [ranking for ranking in RANKINGS.values() if ranking.name != own.name]
        selected = self.ranking or own.name
        return [
            Order(
                each.name,
                each.description,
                self.address(feed.name, None if each is own else each.name),
                each.name == selected,
                each is own,
            )
            for each in (own, *others)
        ]


def cookie_name(request: Request) -> str:
    """Return the name of the cookie that stores the user.

    The name contains the port, because browsers send the cookies of a host to all of its ports.
    """
    return f"harken_reader_{request.url.port or 'default'}"


def _remembered(request: Request) -> str:
    name = unquote(request.cookies.get(cookie_name(request), ""))
    return name if is_identifier(name) else GUEST
