"""What REST answers, and what it takes beyond an `Interaction`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import CoreSchema

from harken.domain.declarations import DeclaredFilter, DeclaredSource
from harken.domain.exploration import MOST_PER_LABEL, MOST_TEMPERATURE, SEED_BITS
from harken.domain.feedback import GUEST, Interaction
from harken.domain.feeds import RANKING_NAME, Weighting
from harken.domain.fields import Identifier, Part, at_most
from harken.domain.kblock import KBlock, Labels
from harken.models.types import Unit
from harken.services.feed.request import MOST_ITEMS

BATCH_LIMIT = 1_000


def _listed(value: Any, _check: ValidatorFunctionWrapHandler) -> Any:
    # Described by their model, and checked one by one later: a bad member rejects itself alone.
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 — what pydantic understands
    if len(value) > BATCH_LIMIT:
        raise ValueError(f"has {len(value)} members; at most {BATCH_LIMIT} are taken at once")
    return value


class Member:
    """A member of a batch: of this shape, or else rejected alone."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the member."""
        return {"anyOf": [handler(core), {"description": "Anything else is rejected alone."}]}


Listed = (Field(max_length=BATCH_LIMIT), WrapValidator(_listed))


class Recording(BaseModel):
    """An interaction that is in the log."""

    success: bool = True
    interaction_id: str
    duplicate: bool | None = Field(
        None, description="True where the event had been recorded before, and counted nothing now."
    )


class Batch(BaseModel):
    """Many interactions."""

    events: Annotated[list[Annotated[Interaction, Member()]], *Listed]


class Rejected(BaseModel):
    """A member of a batch that was not taken."""

    index: int = Field(description="Its place in the batch, from 0.")
    error: str = Field(description="Which field is wrong, and what would be right.")


class BatchRecording(BaseModel):
    """What became of a batch: each event is accepted, a duplicate, or rejected."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


class EngagedKBlock(BaseModel):
    """A K-Block and what people did with it."""

    kblock_id: str
    attention_score: float
    view_count: int
    engage_count: int
    dismiss_count: int
    last_engaged_at: datetime | None


class Totals(BaseModel):
    """Counts of everything in the log."""

    views: int
    engagements: int
    dismissals: int
    avg_dwell_time_sec: float | None = Field(description="Over the views that were timed.")


class RecentActivity(BaseModel):
    """What happened lately."""

    interactions_24h: int


class Analytics(BaseModel):
    """What people did with the feed."""

    most_engaged_kblocks: list[EngagedKBlock]
    totals: Totals
    recent_activity: RecentActivity


class Point(BaseModel):
    """What happened in one minute, hour or day."""

    start: datetime
    views: int
    engagements: int
    dismissals: int
    contradictions: int
    avg_dwell_time_sec: float | None


class Timeseries(BaseModel):
    """Activity over time, a point for every bucket."""

    bucket: Unit
    points: list[Point]


Temperature = Annotated[
    float,
    Field(
        ge=0,
        le=MOST_TEMPERATURE,
        allow_inf_nan=False,
        description="How much chance there is, in units of the score; 0 for none.",
    ),
]
Seed = Annotated[
    int, Field(ge=0, lt=2**SEED_BITS, description="Settles what chance brings; else drawn.")
]
Cap = Annotated[int, Field(ge=1, le=MOST_PER_LABEL)]


class FeedQuery(BaseModel):
    """What a page of a feed is asked for by; with a cursor, the first page settled the rest."""

    model_config = ConfigDict(extra="forbid")

    user_id: Identifier | None = Field(None, description=f"Who reads; else {GUEST}.")
    offset: int = Field(0, ge=0, lt=2**31)
    limit: int = Field(20, ge=1, le=MOST_ITEMS)
    ranking: Annotated[str, RANKING_NAME] | None = Field(
        None, description="Another order than the feed's own."
    )
    max_loss: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="The greatest Galois loss."
    )
    weights: str | None = Field(
        None, description="With ranking=weighted, such as attention:0.5,recency:0.5."
    )
    half_life: str | None = Field(None, description="With ranking=trending, such as 6h.")
    base_feed: str | None = Field(
        None, description="For the feed `personal`: whose K-Blocks it orders; else cosmos."
    )
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")
    explain: bool = Field(default=False, description="Say what makes each score.")
    temperature: Temperature | None = None
    seed: Seed | None = None
    most_per_author: Cap | None = Field(None, description="At most so many of one on a page.")
    most_per_tag: Cap | None = Field(None, description="At most so many with one on a page.")


class SignalShape(BaseModel):
    """What one signal adds to a score."""

    value: float
    weight: float
    contribution: float = Field(description="Value times weight; the contributions add up.")


class RankedItem(BaseModel):
    """A candidate in its place."""

    id: str
    attention_score: float
    score: float
    position: int = Field(description="From 0, counted across pages.")
    explanation: dict[str, SignalShape] | None = Field(None, description="With explain=true.")
    propensity: float | None = Field(
        None,
        description="With a temperature: how likely it was to come here, given those before it.",
    )


class ItemShape(RankedItem):
    """A K-Block as a feed shows it."""

    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    galois_loss: float | None
    created_at: datetime
    contradicts: list[str] | None = Field(None, description="In the contradictions feed.")


MADE_BY = "Of a learned order: the id of the model that made it."
FALLBACK = "Why no model made the learned order, so that it is the personal one."


class FeedPageShape(BaseModel):
    """A page of a feed, which is in the ledger already."""

    items: list[ItemShape]
    total: int = Field(description="How many K-Blocks the feed has for this reader.")
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
    request_id: str = Field(description="To be sent along with what the reader does.")
    personalization: str | None = Field(
        None, description="Of a personal order: why it is the reader's own, or why not."
    )
    model: str | None = Field(None, description=MADE_BY)
    fallback: str | None = Field(None, description=FALLBACK)


class SimilarQuery(BaseModel):
    """How the neighbours of a K-Block are asked for."""

    model_config = ConfigDict(extra="forbid")

    user_id: Identifier = Field(GUEST, description="For whom; what they hide is left out.")
    limit: int = Field(10, ge=1, le=MOST_ITEMS)


class SimilarShape(BaseModel):
    """K-Blocks that are like one."""

    kblock_id: str
    items: list[ItemShape] = Field(
        description="Most alike first; `explanation` has the parts `behaviour` and `content`."
    )
    request_id: str = Field(description="To be sent along with what the reader does.")


class PortraitShape(BaseModel):
    """What is believed of a reader."""

    summary: list[str] = Field(description="In sentences.")
    personalized: bool = Field(description="Whether it is used for their feeds.")
    since: datetime | None = Field(description="When the profile was reset.")
    interactions: int = Field(description="From how many of their last interactions it is made.")
    affinities: dict[str, dict[str, float]] = Field(
        description="To tags, authors, principles and layers: from -1, dismissed, to 1, liked."
    )
    similar_readers: int
    pace: float = Field(description="How long they stay, in units of what the words take most.")
    typical_dwell_seconds: float


class Candidates(Part):
    """K-Blocks to be ranked; ids that are not known here are taken too."""

    kblock_ids: Annotated[
        list[Identifier], Field(min_length=1, max_length=BATCH_LIMIT), at_most(BATCH_LIMIT)
    ]
    user_id: Identifier = GUEST
    ranking: Annotated[str, RANKING_NAME] = "weighted"
    weights: Weighting | None = None
    half_life: str | None = None
    explain: bool = False
    temperature: Annotated[Temperature, Strict()] = 0.0
    seed: Annotated[Seed, Strict()] | None = None


class RankedShape(BaseModel):
    """Candidates in their order."""

    items: list[RankedItem]
    total: int
    unknown: list[str] = Field(description="Those of which nothing is known here.")
    dismissed: list[str] = Field(description="Those that the reader hides; they are no items.")
    muted: list[str] = Field(description="Those with a tag or author that the reader mutes.")
    request_id: str
    model: str | None = Field(None, description=MADE_BY)
    fallback: str | None = Field(None, description=FALLBACK)


class Dismissal(BaseModel):
    """What a reader hides."""

    kblock_id: str
    dismissed_at: datetime


class Dismissals(BaseModel):
    """What a reader hides, the latest first."""

    dismissals: list[Dismissal]


class KBlockShape(KBlock):
    """A K-Block as it is kept."""

    preview: str
    contradicts: list[str] = Field(description="By its own word, or its readers'.")
    updated_at: datetime


class KBlockBatch(Part):
    """Many K-Blocks."""

    kblocks: Annotated[list[Annotated[KBlock, Member()]], *Listed]


class KBlockChange(BaseModel):
    """What became of a K-Block."""

    id: str
    status: str = Field(description="added, updated or unchanged")


class KBlockBatchChange(BaseModel):
    """What became of many."""

    added: int
    updated: int
    unchanged: int
    rejected: list[Rejected]


class UserChange(Part):
    """What a reader declares."""

    principles: Labels


class User(BaseModel):
    """A reader."""

    id: str
    principles: list[str]


class FeedChange(BaseModel):
    """What became of a feed."""

    id: str
    status: str = Field(description="added, updated or unchanged")


class FunctionFilter(BaseModel):
    """A filter that only the program knows."""

    function: str


class DeclaredFeed(BaseModel):
    """A feed with what declares it."""

    id: str
    origin: str = Field(description="built-in, registered by the program, or stored")
    description: str
    sources: list[DeclaredSource]
    filters: list[DeclaredFilter | FunctionFilter]
    max_loss: float | None
    ranking: str
    weights: dict[str, float] | None
    created_at: datetime | None = Field(None, description="Of stored ones.")
    updated_at: datetime | None = Field(None, description="Of stored ones.")


class DeclaredFeeds(BaseModel):
    """All feeds."""

    feeds: list[DeclaredFeed]
