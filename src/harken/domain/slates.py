"""Served pages (slates), their items, and the cursors that continue them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from pydantic_core import to_json

from harken.domain.exploration import Variety
from harken.domain.feeds import Signal, Source
from harken.domain.stored_kblock import source_key, source_title
from harken.domain.times import iso_utc

CURSOR_LIFETIME = timedelta(hours=1)
SIMILAR_FEED = "similar"
"""The feed name of pages of similar K-Blocks in the ledger; no feed has this name."""


class Contribution(NamedTuple):
    """The contribution of one signal to a score: its value times its weight."""

    value: float
    weight: float
    contribution: float


class Key(NamedTuple):
    """A key of the chronological order: microseconds since 1970, and the number of a K-Block."""

    created: int
    number: int


class Trial(NamedTuple):
    """The arm of an experiment that a page is served by.

    `guest_session` is the session that stands for a guest; empty for a reader. `is_forced` marks a
    tester, who chose the arm. `is_interleaved` marks a page of two rankings.
    """

    experiment_id: str
    version: int
    arm: str
    guest_session: str = ""
    is_forced: bool = False
    is_interleaved: bool = False


class Exposure(NamedTuple):
    """A unit that comes into an experiment: a reader, or a session of a guest.

    `propensity` is the probability with which it got this arm, `allocation` the version of an
    adaptive allocation that it comes from.
    """

    trial: Trial
    user_id: str
    propensity: float
    is_personalized: bool = True
    allocation: int | None = None


@dataclass(frozen=True)
class Cursor:
    """Where a feed continues: the settings of its first page, and how far it was read."""

    request_id: str  # of the first page
    started_at: datetime
    feed: str
    base_feed: str | None  # the feed whose K-Blocks a personal feed ranks
    user_id: str
    ranking: str
    weights: Mapping[Signal, float]
    half_life: float | None  # seconds
    max_loss: float | None
    revision: int  # of the K-Blocks at the first page
    position: int  # of the next item, counted from 0 across pages
    ordered: int  # number of items of the stored order that were read
    after: Key | None  # the last item that was served in chronological order
    variety: Variety
    trial: Trial | None = None  # the experiment that the first page was served by


class Reason(NamedTuple):
    """A reason for an item's place, compared with the other candidates of its page.

    part: of the score. direction: `raised`, `held_back`, or `noted` for what did neither.
    text: a sentence for the reader. figures: what the sentence says, as numbers.
    """

    part: str
    direction: str
    text: str
    figures: Mapping[str, float]


class Reference(NamedTuple):
    """Another K-Block, by its id and title."""

    id: str
    title: str


class SourceReference(NamedTuple):
    """Where a K-Block came from: the feed of its source, such as `source:0123…`, and a title."""

    feed: str
    title: str

    @classmethod
    def of(cls, name: object, title: str | None) -> "SourceReference | None":
        """Return the reference of a source by its name; None for an item that has no source."""
        if not isinstance(name, str) or not name:
            return None
        return cls(f"{Source.SOURCE.value}:{source_key(name)}", title or source_title(name))


class SwappedPair(NamedTuple):
    """Two neighbours of an order that a coin decided: `place` is that of the first, from 0."""

    place: int
    is_turned: bool


@dataclass(frozen=True, eq=False)
class ShownKBlock:
    """What feeds show of a K-Block itself: the same on all pages, until the K-Block changes."""

    id: str
    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    galois_loss: float | None
    source: SourceReference | None
    created_at: datetime

    @cached_property
    def fields(self) -> dict[str, Any]:
        """Its fields as a JSON encoder writes them; not to be changed."""
        source = None if self.source is None else self.source._asdict()
        return {
            "id": self.id, "title": self.title, "path": self.path, "preview": self.preview,
            "layer": self.layer, "kind": self.kind, "author": self.author, "tags": self.tags,
            "source": source, "galois_loss": self.galois_loss,
            "created_at": iso_utc(self.created_at),
        }  # fmt: skip

    @cached_property
    def as_json(self) -> bytes:
        """The JSON of its fields; many pages use it, so it is written once."""
        return to_json(self.fields)


class Item(NamedTuple):
    """A K-Block at a place of a page."""

    kblock: ShownKBlock
    attention_score: float
    score: float
    position: int
    contradicts: list[str] | None = None
    explanation: dict[str, Contribution] | None = None
    reasons: list[Reason] | None = None  # for its place, the most important first
    close_to: Reference | None = None  # what the reader liked, whose text is most similar
    propensity: float | None = None
    frozen_score: float | None = None  # what a sampled order was made by
    arm: str | None = None  # whose it is, in an interleaved page
    pair: SwappedPair | None = None

    @property
    def id(self) -> str:
        """The id of the K-Block."""
        return self.kblock.id

    @property
    def title(self) -> str:
        """The title of the K-Block."""
        return self.kblock.title

    @property
    def path(self) -> str | None:
        """Where it is in what it was imported from."""
        return self.kblock.path

    @property
    def preview(self) -> str:
        """The first letters of its content."""
        return self.kblock.preview

    @property
    def layer(self) -> int | None:
        """Its layer."""
        return self.kblock.layer

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.kblock.kind

    @property
    def author(self) -> str | None:
        """Its author."""
        return self.kblock.author

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return self.kblock.tags

    @property
    def galois_loss(self) -> float | None:
        """How much is lost when it is restructured."""
        return self.kblock.galois_loss

    @property
    def source(self) -> SourceReference | None:
        """Where it came from."""
        return self.kblock.source

    @property
    def created_at(self) -> datetime:
        """When it was created, in UTC."""
        return self.kblock.created_at


@dataclass(frozen=True)
class Slate:
    """One page as the ledger stores it, before it is sent to the reader."""

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
    session_id: str | None = None
    trial: Trial | None = None
    scores: list[float] | None = None  # of the items, for an order by score
    log_sum_exp: float | None = None  # over the order, if it was sampled with a temperature


class ShownSlate(NamedTuple):
    """Which K-Blocks a page showed, the first of them at a position counted from 0."""

    request_id: str
    created_at: datetime
    position: int
    items: list[str]


@dataclass(frozen=True)
class FeedPage:
    """One page as it is sent to the reader."""

    items: list[Item]
    total: int
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
    request_id: str
    personalization: str | None = None  # why the order is personalised, or why it is not
    model: str | None = None  # the id of the model that made a learned order
    fallback: str | None = None  # why no model was used, and the order is the personal one instead
    trial: Trial | None = None  # the experiment that the page is served by
    candidates: int | None = None  # how many K-Blocks the reasons compare with each other
