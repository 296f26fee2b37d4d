"""Models of requests for pages of feeds, and of answers about feeds, interests and dismissals."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harken.domain.declarations import DeclaredFilter, DeclaredSource
from harken.domain.exploration import MOST_PER_LABEL
from harken.domain.feedback import GUEST
from harken.domain.feeds import RANKING_NAME
from harken.domain.fields import Identifier
from harken.protocols.api.schemas import AFTER_EVENT, Exploration, Seed, Temperature
from harken.services.feed.request import MOST_ITEMS

Cap = Annotated[int, Field(ge=1, le=MOST_PER_LABEL)]


class FeedQuery(BaseModel):
    """Parameters of a page of a feed; a cursor contains those of the first page."""

    model_config = ConfigDict(extra="forbid")

    user_id: Identifier | None = Field(None, description=f"The reader; default: {GUEST}.")
    offset: int = Field(0, ge=0, lt=2**31)
    limit: int = Field(20, ge=1, le=MOST_ITEMS)
    ranking: Annotated[str, RANKING_NAME] | None = Field(
        None, description="Another ranking than the feed's own."
    )
    max_loss: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="The highest Galois loss."
    )
    weights: str | None = Field(
        None, description="For ranking=weighted, such as attention:0.5,recency:0.5."
    )
    half_life: str | None = Field(None, description="For ranking=trending, such as 6h.")
    base_feed: str | None = Field(
        None,
        description="For the feed `personal`: the feed whose K-Blocks it ranks; default: cosmos.",
    )
    cursor: str | None = Field(None, description="The `next_cursor` of the previous page.")
    explain: bool = Field(default=False, description="Explain each score.")
    temperature: Temperature | None = None
    seed: Seed | None = None
    explore: Exploration | None = None
    most_per_author: Cap | None = Field(
        None, description="At most this many items of one author on a page."
    )
    most_per_tag: Cap | None = Field(
        None, description="At most this many items with the same tag on a page."
    )
    most_per_source: Cap | None = Field(
        None, description="At most this many items of one source on a page; default: the reader's."
    )
    session_id: Identifier | None = Field(
        None, description="The visit; in an experiment it stands for a guest."
    )
    state: bool = Field(
        default=False, description="Say of each item whether the reader has read and saved it."
    )
    after_event: Identifier | None = Field(None, description=AFTER_EVENT)
    arm: str | None = Field(
        None, description="For testers: an arm of a running experiment, as `experiment:arm`."
    )


class FeedChange(BaseModel):
    """The result of storing a feed."""

    id: str
    status: str = Field(description="added, updated or unchanged")


class FunctionFilter(BaseModel):
    """A filter that is a function of the program."""

    function: str


class DeclaredFeed(BaseModel):
    """A feed with its declaration."""

    id: str
    origin: str = Field(description="built-in, registered by the program, or stored")
    description: str
    sources: list[DeclaredSource]
    filters: list[DeclaredFilter | FunctionFilter]
    max_loss: float | None
    ranking: str
    weights: dict[str, float] | None
    created_at: datetime | None = Field(None, description="For stored feeds.")
    updated_at: datetime | None = Field(None, description="For stored feeds.")


class DeclaredFeeds(BaseModel):
    """All feeds."""

    feeds: list[DeclaredFeed]


class InterestShape(BaseModel):
    """The interest of a reader in a label."""

    kind: str = Field(description="tags, authors, principles, layers, folders or sources")
    name: str
    learned: float = Field(description="From events, from -1 (dismissed) to 1 (liked).")
    stated: float | None = Field(
        description="What the reader set in place of it, from -2 to 2; null if nothing."
    )
    words: str = Field(description="How strong it is.")


class InterestsShape(BaseModel):
    """The interests that Harken inferred from the events of a reader."""

    summary: list[str] = Field(description="The interests as sentences.")
    personalized: bool = Field(description="Whether the reader's feeds use their interests.")
    since: datetime | None = Field(
        description="When the profile was last reset; earlier events are ignored."
    )
    interactions: int = Field(
        description="The number of their latest interactions that the profile uses."
    )
    affinities: dict[str, dict[str, float]] = Field(
        description="To each label of each kind, from -1 (dismissed) to 1 (liked)."
    )
    interests: list[InterestShape] = Field(
        description="Each of these, and what the reader set; by kind, the strongest first."
    )
    similar_readers: int
    pace: float = Field(
        description="Their dwell time divided by the longest expected for the words; a median."
    )
    typical_dwell_seconds: float


class Dismissal(BaseModel):
    """A dismissed K-Block."""

    kblock_id: str
    dismissed_at: datetime


class Dismissals(BaseModel):
    """The dismissals of a reader, latest first."""

    dismissals: list[Dismissal]
