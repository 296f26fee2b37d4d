"""What a reader is shown: slates, the items in them, and the cursors that continue them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from harken.domain.exploration import Variety
from harken.domain.feeds import Signal

CURSOR_LIFETIME = timedelta(hours=1)
SIMILAR_FEED = "similar"
"""What the ledger calls a page of similar K-Blocks, which is no feed."""


class Contribution(NamedTuple):
    """What one signal adds to a score: its value times its weight."""

    value: float
    weight: float
    contribution: float


class Key(NamedTuple):
    """A place in the order of time: microseconds since 1970, and the number of a K-Block."""

    created: int
    number: int


@dataclass(frozen=True)
class Cursor:
    """Where a feed goes on; everything that the first page settled, and how far it was read."""

    request_id: str  # the first page's
    started_at: datetime
    feed: str
    base_feed: str | None  # whose K-Blocks a personal feed orders
    user_id: str
    ranking: str
    weights: Mapping[Signal, float]
    half_life: float | None  # seconds
    max_loss: float | None
    revision: int  # the K-Blocks that there were
    position: int  # of the next item, counted from 0 across pages
    ordered: int  # how much of the frozen order was read
    after: Key | None  # the last item that was served in the order of time
    variety: Variety


@dataclass(frozen=True)
class Item:
    """A K-Block as a feed shows it."""

    id: str
    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    galois_loss: float | None
    attention_score: float
    score: float
    position: int
    created_at: datetime
    contradicts: list[str] | None = None
    explanation: dict[str, Contribution] | None = None
    propensity: float | None = None


@dataclass(frozen=True)
class Slate:
    """One page, as the ledger keeps it before the reader sees it."""

    request_id: str
    first_request_id: str
    user_id: str
    feed: str
    ranking: str
    settings: Mapping[str, Any]
    revision: int
    position: int
    items: list[str]
    propensities: list[float] | None = None


@dataclass(frozen=True)
class FeedPage:
    """One page, as the reader gets it."""

    items: list[Item]
    total: int
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
    request_id: str
    personalization: str | None = None  # why a personal order is the reader's own, or why not
    model: str | None = None  # that a learned order was made by
    fallback: str | None = None  # why there was none, so that the order is the personal one
