"""Models of the requests and answers about sources."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, Strict, StrictBool

from harken.domain.fields import Identifier, Part, Text, Words
from harken.domain.kblock import MAX_TITLE
from harken.services.sources.outlines import LONGEST_URL
from harken.services.sources.service import LEAST_WEIGHT, MOST_WEIGHT

Reader = Annotated[
    Identifier | None, Field(description="The reader; may be left out with a user token.")
]
Title = Annotated[Words, Field(max_length=MAX_TITLE)]
MOST_OPML = 4 * 1024 * 1024


class SubscriptionRequest(Part):
    """A source to subscribe to."""

    url: Annotated[Words, Field(max_length=LONGEST_URL)] = Field(
        description="The address of a feed, or of a page that names its feed."
    )
    title: Title | None = Field(None, description="A title; default: the feed's own.")
    user_id: Reader = None


class OutlineRequest(Part):
    """A list of feeds to subscribe to."""

    opml: Annotated[Text, Field(min_length=1, max_length=MOST_OPML)] = Field(
        description="An OPML document."
    )
    user_id: Reader = None


class TitleRequest(Part):
    """A title for a source."""

    title: Title | None = Field(description="null for the title that the feed gives itself.")


class PreferenceRequest(Part):
    """What a reader wants of a source; what is left out stays as it is."""

    user_id: Reader = None
    muted: StrictBool | None = Field(None, description="Whether its items are hidden from them.")
    weight: (
        Annotated[float, Strict(), Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT, allow_inf_nan=False)]
        | None
    ) = Field(None, description="Multiplies its share of a page with `most_per_source`.")


class PreferenceShape(BaseModel):
    """What a reader wants of a source."""

    muted: bool
    weight: float


class SourceShape(BaseModel):
    """A source, and the state of its last refresh."""

    id: str
    feed: str = Field(description="The feed of its items.")
    title: str
    given_title: str | None = Field(description="The title that a person gave it.")
    url: str | None = Field(description="null for a caller with a user token.")
    site_url: str | None
    added_by: str | None
    added_at: datetime
    checked_at: datetime | None = Field(description="When it was asked last.")
    succeeded_at: datetime | None
    next_at: datetime | None = Field(description="When it is asked next; null for never.")
    error: str | None = Field(description="Why it could not be read, wholly or in part.")
    failures: int = Field(description="How often in a row it failed.")
    is_gone: bool = Field(description="Whether it answered 410 Gone; then it is not asked again.")
    items: int | None = None
    muted: bool | None = None
    weight: float | None = None


class SourcesShape(BaseModel):
    """Sources, by their titles."""

    sources: list[SourceShape]
    total: int
    refresh_every_seconds: float | None = Field(
        description="How often each is asked; null for only on request."
    )


class RefreshedShape(BaseModel):
    """What came of asking a source."""

    result: str = Field(description="news, unchanged, failed or gone")
    added: int
    updated: int
    source: SourceShape


class SubscribedShape(RefreshedShape):
    """A source that is subscribed to."""

    status: str = Field(description="added, or known if it was there before")
    others: list[str] = Field(description="Further feeds that the page names.")


class OutlinesShape(BaseModel):
    """The result of importing a list."""

    added: int
    known: int
    left_out: list[str]


class AskedShape(BaseModel):
    """How many sources are asked in the background."""

    asked: int
