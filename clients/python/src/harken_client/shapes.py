"""The types of requests and answers.

Made by clients/python/scripts/shapes.py from the OpenAPI document of the service. Times are texts
of ISO 8601.
"""

from typing import Any, Literal, NotRequired, TypedDict


class Event(TypedDict):
    """One thing that one reader did with one item, as a client reports it."""

    user_id: str
    kblock_id: str
    action: Literal["view", "engage", "dismiss", "contradict"]
    dwell_time_ms: NotRequired[int | None]
    interaction_type: NotRequired[str | None]
    metadata: NotRequired[dict[str, Any] | None]
    interaction_id: NotRequired[str | None]
    occurred_at: NotRequired[str | float | None]
    sent_at: NotRequired[str | float | None]
    request_id: NotRequired[str | None]
    position: NotRequired[int | None]
    session_id: NotRequired[str | None]


class Recorded(TypedDict):
    """An interaction that is in the log."""

    success: NotRequired[bool]
    interaction_id: str
    duplicate: NotRequired[bool | None]


class Rejected(TypedDict):
    """A rejected member of a batch."""

    index: int
    error: str


class BatchResult(TypedDict):
    """The result of a batch: each event is accepted, a duplicate, or rejected."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


class Signal(TypedDict):
    """The contribution of one signal to a score."""

    value: float
    weight: float
    contribution: float


class SourceReference(TypedDict):
    """Where an item came from."""

    feed: str
    title: str


class Reason(TypedDict):
    """A reason for an item's place, compared with the other candidates of its page."""

    part: str
    direction: Literal["raised", "held_back", "noted"]
    text: str
    figures: dict[str, float]


class Reference(TypedDict):
    """Another K-Block."""

    id: str
    title: str


class Item(TypedDict):
    """A K-Block as an item of a feed."""

    id: str
    attention_score: float
    score: float
    position: int
    explanation: NotRequired[dict[str, Signal] | None]
    propensity: NotRequired[float | None]
    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    source: NotRequired[SourceReference | None]
    galois_loss: float | None
    created_at: str
    reasons: NotRequired[list[Reason] | None]
    close_to: NotRequired[Reference | None]
    contradicts: NotRequired[list[str] | None]
    is_read: NotRequired[bool | None]
    is_saved: NotRequired[bool | None]


class Trial(TypedDict):
    """The experiment that a page is served by."""

    id: str
    version: int
    arm: str


class FeedPage(TypedDict):
    """A page of a feed; its slate is committed before the answer is sent."""

    items: list[Item]
    total: int
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
    request_id: str
    candidates: NotRequired[int | None]
    personalization: NotRequired[str | None]
    model: NotRequired[str | None]
    fallback: NotRequired[str | None]
    experiment: NotRequired[Trial | None]
    after_event: NotRequired[Literal["included", "missing"] | None]


class RankedItem(TypedDict):
    """A ranked candidate."""

    id: str
    attention_score: float
    score: float
    position: int
    explanation: NotRequired[dict[str, Signal] | None]
    propensity: NotRequired[float | None]


class Ranked(TypedDict):
    """Ranked candidates, best first."""

    items: list[RankedItem]
    total: int
    unknown: list[str]
    dismissed: list[str]
    muted: list[str]
    request_id: str
    model: NotRequired[str | None]
    fallback: NotRequired[str | None]
    after_event: NotRequired[Literal["included", "missing"] | None]


class Edge(TypedDict):
    """One K-Block points to another, which need not exist yet."""

    target: str
    kind: NotRequired[Literal["links", "contradicts"]]


class KBlock(TypedDict):
    """An item of a feed: a note, a post, an article."""

    id: str
    title: str
    content: NotRequired[str]
    path: NotRequired[str | None]
    kind: NotRequired[str]
    layer: NotRequired[int | None]
    author: NotRequired[str | None]
    tags: NotRequired[list[str]]
    principles: NotRequired[list[str]]
    galois_loss: NotRequired[float | None]
    created_at: NotRequired[str | float | None]
    edges: NotRequired[list[Edge]]


class Attachment(TypedDict):
    """A file that belongs to a K-Block; size and duration are what its publisher says."""

    url: str
    title: str
    media_type: str
    size_bytes: int | None
    seconds: int | None


class StoredKBlock(TypedDict):
    """A stored K-Block."""

    id: str
    title: str
    content: NotRequired[str]
    path: NotRequired[str | None]
    kind: NotRequired[str]
    layer: NotRequired[int | None]
    author: NotRequired[str | None]
    tags: NotRequired[list[str]]
    principles: NotRequired[list[str]]
    galois_loss: NotRequired[float | None]
    created_at: NotRequired[str | None]
    edges: NotRequired[list[Edge]]
    preview: str
    attachments: list[Attachment]
    contradicts: list[str]
    source: NotRequired[SourceReference | None]
    updated_at: str


class KBlockChange(TypedDict):
    """The result of storing a K-Block."""

    id: str
    status: str


class KBlockBatchChange(TypedDict):
    """The result of storing many K-Blocks."""

    added: int
    updated: int
    unchanged: int
    rejected: list[Rejected]


class Similar(TypedDict):
    """K-Blocks that are similar to one."""

    kblock_id: str
    items: list[Item]
    request_id: str


class Match(TypedDict):
    """Where a K-Block matches."""

    fields: dict[str, list[str]]
    title: str
    snippet: str


class FoundItem(TypedDict):
    """A K-Block that was found; `score` is its relevance, more than 0 if there is a query."""

    id: str
    attention_score: float
    score: float
    position: int
    explanation: NotRequired[dict[str, Signal] | None]
    propensity: NotRequired[float | None]
    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    source: NotRequired[SourceReference | None]
    galois_loss: float | None
    created_at: str
    reasons: NotRequired[list[Reason] | None]
    close_to: NotRequired[Reference | None]
    contradicts: NotRequired[list[str] | None]
    is_read: NotRequired[bool | None]
    is_saved: NotRequired[bool | None]
    match: Match


class Found(TypedDict):
    """A page of what was found. No slate is kept of it."""

    understood: str
    items: list[FoundItem]
    total: int
    total_is_exact: bool
    hidden: int
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None


class Comment(TypedDict):
    """A comment as it reads now."""

    comment_id: str
    kblock_id: str
    user_id: str
    text: str
    created_at: str | None
    edited_at: str | None


class Comments(TypedDict):
    """Comments on a K-Block, the oldest first."""

    comments: list[Comment]
    total: int
    next_offset: int | None


class Marked(TypedDict):
    """The K-Blocks whose mark changed; the others had it before, or do not exist."""

    changed: list[str]


class Unread(TypedDict):
    """How many K-Blocks a reader has not read, and how many they saved."""

    unread: dict[str, int]
    saved: int


class LoggedEvent(TypedDict):
    """An event of the log, with the fields in which it was recorded."""

    interaction_id: str
    user_id: str
    kblock_id: str
    action: str
    dwell_time_ms: int | None
    interaction_type: str | None
    metadata: dict[str, Any] | None
    occurred_at: str | None
    request_id: str | None
    position: int | None
    session_id: str | None
    recorded_at: str | None
    set_aside: bool
    cursor: str


class LoggedEvents(TypedDict):
    """Events in the order of commits."""

    events: list[LoggedEvent]
    next: str | None
    has_more: bool


class Candidates(TypedDict):
    """The K-Blocks to rank; unknown ids are accepted."""

    kblock_ids: list[str]
    user_id: NotRequired[str | None]
    ranking: NotRequired[
        Literal[
            "chronological",
            "popularity",
            "coherence",
            "incoherence",
            "principles",
            "attention",
            "trending",
            "personal",
            "learned",
            "weighted",
        ]
    ]
    weights: NotRequired[dict[str, Any] | None]
    half_life: NotRequired[str | None]
    explain: NotRequired[bool]
    temperature: NotRequired[float]
    seed: NotRequired[int | None]
    explore: NotRequired[Literal["thompson"] | None]
    after_event: NotRequired[str | None]


class PageOptions(TypedDict):
    """Query parameters of GET /api/feed/feeds/{feed_id}."""

    user_id: NotRequired[str | None]
    offset: NotRequired[int]
    limit: NotRequired[int]
    ranking: NotRequired[
        Literal[
            "chronological",
            "popularity",
            "coherence",
            "incoherence",
            "principles",
            "attention",
            "trending",
            "personal",
            "learned",
            "weighted",
        ]
        | None
    ]
    max_loss: NotRequired[float | None]
    weights: NotRequired[str | None]
    half_life: NotRequired[str | None]
    base_feed: NotRequired[str | None]
    explain: NotRequired[bool]
    temperature: NotRequired[float | None]
    seed: NotRequired[int | None]
    explore: NotRequired[Literal["thompson"] | None]
    most_per_author: NotRequired[int | None]
    most_per_tag: NotRequired[int | None]
    most_per_source: NotRequired[int | None]
    session_id: NotRequired[str | None]
    state: NotRequired[bool]
    after_event: NotRequired[str | None]
    arm: NotRequired[str | None]


class SearchOptions(TypedDict):
    """Query parameters of GET /api/kblocks/search."""

    user_id: NotRequired[str | None]
    tag: NotRequired[str | None]
    author: NotRequired[str | None]
    feed: NotRequired[str | None]
    source: NotRequired[str | None]
    limit: NotRequired[int]


class RankOptions(TypedDict):
    """How candidates are ranked, and for whom."""

    user_id: NotRequired[str | None]
    ranking: NotRequired[
        Literal[
            "chronological",
            "popularity",
            "coherence",
            "incoherence",
            "principles",
            "attention",
            "trending",
            "personal",
            "learned",
            "weighted",
        ]
    ]
    weights: NotRequired[dict[str, Any] | None]
    half_life: NotRequired[str | None]
    explain: NotRequired[bool]
    temperature: NotRequired[float]
    seed: NotRequired[int | None]
    explore: NotRequired[Literal["thompson"] | None]
    after_event: NotRequired[str | None]
