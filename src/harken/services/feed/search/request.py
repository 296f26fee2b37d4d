"""The request of a search, and the page that answers it."""

import hashlib
import json
from dataclasses import dataclass

from harken.domain.feedback import GUEST
from harken.domain.fields import check_identifier, check_label
from harken.domain.slates import Item
from harken.errors import InvalidInput, Problem
from harken.services.feed.request import MOST_ITEMS
from harken.services.kblocks.search.query import Query, parse_query

LONGEST_SOURCE = 255


@dataclass(frozen=True)
class SearchRequest:
    """A query of a reader, and filters that all have to be passed.

    Without a query, everything that passes the filters is found, the newest first. `source` is the
    name of an importer's source, such as `markdown:notes`.
    """

    q: str = ""
    user_id: str = GUEST
    tag: str | None = None
    author: str | None = None
    feed: str | None = None
    source: str | None = None
    limit: int = 20
    cursor: str | None = None

    def query(self) -> Query | None:
        """Return the parsed query; None if there is none. Raises InvalidInput."""
        return parse_query(self.q) if self.q.strip() else None

    def check(self) -> None:
        """Raise InvalidInput for a filter that nothing can pass, or a wrong limit."""
        check_identifier("user_id", self.user_id)
        for name, value in (("tag", self.tag), ("author", self.author)):
            if value is not None:
                check_label(name, value)
        if self.source is not None:
            is_short = 0 < len(self.source) <= LONGEST_SOURCE
            if not is_short or "\x00" in self.source or not is_encodable(self.source):
                problem = f"must be the name of a source, 1 to {LONGEST_SOURCE} characters"
                raise InvalidInput(Problem("source", problem))
        if not 1 <= self.limit <= MOST_ITEMS:
            raise InvalidInput(Problem("limit", f"must be 1 to {MOST_ITEMS}"))

    def digest(self) -> str:
        """Return the hash by which a cursor knows its search: of all but limit and cursor."""
        parts = [self.q, self.user_id, self.tag, self.author, self.feed, self.source]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def is_encodable(text: str) -> bool:
    """Tell whether a text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class FoundItem:
    """A K-Block that was found; `item.score` is its relevance, 0 if it was not ranked by it.

    fields: the terms that were found in each field: title, tags, author, text.
    title, snippet: HTML with the matches marked, and everything else escaped.
    """

    item: Item
    fields: dict[str, list[str]]
    title: str
    snippet: str


@dataclass(frozen=True)
class SearchPage:
    """A page of search results.

    understood: the query as it was understood; empty without one.
    total: how many K-Blocks match, for this reader.
    total_is_exact: False if at least `total` match, and not all were counted.
    hidden: how many more match, but are dismissed or muted by them, or not shown yet; only those
    that were looked at, if not all were counted.
    """

    understood: str
    items: list[FoundItem]
    total: int
    total_is_exact: bool
    hidden: int
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
