"""Models of the requests and answers of REST; `Interaction` is in the domain."""

from datetime import datetime
from typing import Annotated, Any, Literal

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

from harken.domain.exploration import EXPLORATIONS, MOST_TEMPERATURE, SEED_BITS
from harken.domain.feedback import GUEST, Interaction
from harken.domain.feeds import RANKING_NAME, Weighting
from harken.domain.fields import Identifier, Part, Text, at_most
from harken.domain.kblock import KBlock, Labels
from harken.models.types import Unit
from harken.services.feed.request import MOST_ITEMS

BATCH_LIMIT = 1_000
AFTER_EVENT = "The id of the reader's last event: the answer waits for it, 2 seconds at most."
COVERAGE = "With `after_event`: whether the answer includes that event; missing: there is none yet."
Coverage = Literal["included", "missing"]


def _listed(value: Any, _check: ValidatorFunctionWrapHandler) -> Any:
    # The members are validated one by one later, so that an invalid one is rejected alone.
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 — what pydantic understands
    if len(value) > BATCH_LIMIT:
        raise ValueError(f"has {len(value)} members; send at most {BATCH_LIMIT} at once")
    return value


class Member:
    """Annotation of a member of a batch: other values are rejected without failing the batch."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON schema of the member."""
        return {
            "anyOf": [
                handler(core),
                {"description": "Any other value is rejected; the rest of the batch is not."},
            ]
        }


Listed = (Field(max_length=BATCH_LIMIT), WrapValidator(_listed))


class Recording(BaseModel):
    """An interaction that is in the log."""

    success: bool = True
    interaction_id: str
    duplicate: bool | None = Field(
        None, description="True if the event was already in the log; it was not counted again."
    )


class Batch(BaseModel):
    """Many interactions."""

    events: Annotated[list[Annotated[Interaction, Member()]], *Listed]


class Rejected(BaseModel):
    """A rejected member of a batch."""

    index: int = Field(description="Its index in the batch, from 0.")
    error: str = Field(description="The wrong field, and what would be valid.")


class BatchRecording(BaseModel):
    """The result of a batch: each event is accepted, a duplicate, or rejected."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


class EngagedKBlock(BaseModel):
    """A K-Block with its attention score and counts."""

    kblock_id: str
    attention_score: float
    view_count: int
    engage_count: int
    dismiss_count: int
    last_engaged_at: datetime | None


class Totals(BaseModel):
    """Counts over the whole log."""

    views: int
    engagements: int
    dismissals: int
    avg_dwell_time_sec: float | None = Field(
        description="Mean of the views with a dwell time, in seconds."
    )


class RecentActivity(BaseModel):
    """The number of events in the last 24 hours."""

    interactions_24h: int


class Analytics(BaseModel):
    """The most engaged K-Blocks, totals and recent activity."""

    most_engaged_kblocks: list[EngagedKBlock]
    totals: Totals
    recent_activity: RecentActivity


class Point(BaseModel):
    """Counts of one minute, hour or day (UTC)."""

    start: datetime
    views: int
    engagements: int
    dismissals: int
    contradictions: int
    avg_dwell_time_sec: float | None


class Timeseries(BaseModel):
    """Activity over time: one point for each bucket."""

    bucket: Unit
    points: list[Point]


Temperature = Annotated[
    float,
    Field(
        ge=0,
        le=MOST_TEMPERATURE,
        allow_inf_nan=False,
        description="Temperature of random exploration, in units of the score; 0 for none.",
    ),
]
Seed = Annotated[
    int, Field(ge=0, lt=2**SEED_BITS, description="Seed of the random order; drawn if not given.")
]
Exploration = Annotated[
    str,
    Field(
        json_schema_extra={"enum": list(EXPLORATIONS)},
        description="Draw scores by how uncertain they are, so that new K-Blocks get a chance.",
    ),
]


class TrialShape(BaseModel):
    """The experiment that a page is served by."""

    id: str
    version: int
    arm: str


class ReferenceShape(BaseModel):
    """Another K-Block."""

    id: str
    title: str


class SignalShape(BaseModel):
    """The contribution of one signal to a score."""

    value: float
    weight: float
    contribution: float = Field(
        description="Value times weight; the score is the sum of all contributions."
    )


class ReasonShape(BaseModel):
    """A reason for an item's place, compared with the other candidates of its page."""

    part: str = Field(description="The part of the score, as in `explanation`.")
    direction: Literal["raised", "held_back", "noted"]
    text: str = Field(description="A sentence for the reader.")
    figures: dict[str, float] = Field(
        description="What the sentence says, as numbers; `difference` is the contribution less "
        "that of the median candidate, `share` its share of all differences."
    )


class RankedItem(BaseModel):
    """A ranked candidate."""

    id: str
    attention_score: float
    score: float
    position: int = Field(description="From 0, counted across pages.")
    explanation: dict[str, SignalShape] | None = Field(None, description="With explain=true.")
    propensity: float | None = Field(
        None,
        description="Its probability here; with a temperature, given the items before it.",
    )


class SourceReferenceShape(BaseModel):
    """Where an item came from."""

    feed: str = Field(description="The feed of its source: `source:` and the source's key.")
    title: str


class ItemShape(RankedItem):
    """A K-Block as an item of a feed."""

    title: str
    path: str | None
    preview: str
    layer: int | None
    kind: str
    author: str | None
    tags: list[str]
    source: SourceReferenceShape | None = Field(
        None, description="Where it came from; null if no importer wrote it."
    )
    galois_loss: float | None
    created_at: datetime
    reasons: list[ReasonShape] | None = Field(
        None,
        description="With explain=true: what raised it, then what held it back, by size.",
    )
    close_to: ReferenceShape | None = Field(
        None,
        description="With explain=true, in personal and learned orders: the K-Block that the "
        "reader liked whose text is most similar, if any.",
    )
    contradicts: list[str] | None = Field(None, description="In the contradictions feed.")
    is_read: bool | None = Field(None, description="With state=true.")
    is_saved: bool | None = Field(None, description="With state=true.")


MADE_BY = "For a learned order: the id of the model that made it."
FALLBACK = "For a learned order: why the personal order replaced it."


class FeedPageShape(BaseModel):
    """A page of a feed; its slate is committed before the answer is sent."""

    items: list[ItemShape]
    total: int = Field(description="How many K-Blocks the feed has for this reader.")
    has_more: bool
    offset: int
    limit: int
    next_cursor: str | None
    request_id: str = Field(description="Send it with the events of the reader on this page.")
    candidates: int | None = Field(
        None, description="With explain=true: how many K-Blocks the reasons compare."
    )
    personalization: str | None = Field(
        None, description="For a personal order: whether it is personalised, and why."
    )
    model: str | None = Field(None, description=MADE_BY)
    fallback: str | None = Field(None, description=FALLBACK)
    experiment: TrialShape | None = Field(None, description="In an experiment.")
    after_event: Coverage | None = Field(None, description=COVERAGE)


class SimilarQuery(BaseModel):
    """Parameters of the request for similar K-Blocks."""

    model_config = ConfigDict(extra="forbid")

    user_id: Identifier | None = Field(
        None,
        description=f"The reader, whose dismissed K-Blocks are left out; default: {GUEST}.",
    )
    limit: int = Field(10, ge=1, le=MOST_ITEMS)


class SimilarShape(BaseModel):
    """K-Blocks that are similar to one."""

    kblock_id: str
    items: list[ItemShape] = Field(
        description="Most similar first; `explanation` has the parts `behaviour` and `content`."
    )
    request_id: str = Field(description="Send it with the events of the reader on this page.")


class Candidates(Part):
    """The K-Blocks to rank; unknown ids are accepted."""

    kblock_ids: Annotated[
        list[Identifier], Field(min_length=1, max_length=BATCH_LIMIT), at_most(BATCH_LIMIT)
    ]
    user_id: Identifier | None = None
    ranking: Annotated[str, RANKING_NAME] = "weighted"
    weights: Weighting | None = None
    half_life: Text | None = None
    explain: bool = False
    temperature: Annotated[Temperature, Strict()] = 0.0
    seed: Annotated[Seed, Strict()] | None = None
    explore: Exploration | None = None
    after_event: Identifier | None = Field(None, description=AFTER_EVENT)


class RankedShape(BaseModel):
    """Ranked candidates, best first."""

    items: list[RankedItem]
    total: int
    unknown: list[str] = Field(description="Ids without a K-Block and without events.")
    dismissed: list[str] = Field(
        description="Ids that the reader dismissed; they are not in `items`."
    )
    muted: list[str] = Field(
        description="Ids with a tag or author that the reader mutes; they are not in `items`."
    )
    request_id: str
    model: str | None = Field(None, description=MADE_BY)
    fallback: str | None = Field(None, description=FALLBACK)
    after_event: Coverage | None = Field(None, description=COVERAGE)


class AttachmentShape(BaseModel):
    """A file that belongs to a K-Block; size and duration are what its publisher says."""

    url: str
    title: str
    media_type: str
    size_bytes: int | None
    seconds: int | None


class KBlockShape(KBlock):
    """A stored K-Block."""

    preview: str
    attachments: list[AttachmentShape] = Field(
        description="The list at the end of its content, such as the episode of a podcast."
    )
    contradicts: list[str] = Field(
        description="Its own contradictions, and those that readers marked."
    )
    source: SourceReferenceShape | None = None
    updated_at: datetime


class KBlockBatch(Part):
    """Many K-Blocks."""

    kblocks: Annotated[list[Annotated[KBlock, Member()]], *Listed]


class KBlockChange(BaseModel):
    """The result of storing a K-Block."""

    id: str
    status: str = Field(description="added, updated or unchanged")


class KBlockBatchChange(BaseModel):
    """The result of storing many K-Blocks."""

    added: int
    updated: int
    unchanged: int
    rejected: list[Rejected]


class UserChange(Part):
    """The principles that a reader declares."""

    principles: Labels


class User(BaseModel):
    """A reader with their principles."""

    id: str
    principles: list[str]
