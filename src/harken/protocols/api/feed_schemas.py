"""Models of the answers about feeds and their declarations."""

from datetime import datetime

from pydantic import BaseModel, Field

from harken.domain.declarations import DeclaredFilter, DeclaredSource


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
