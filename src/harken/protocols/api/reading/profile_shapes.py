"""What the route of a reader's profile returns: what they are interested in."""

from datetime import datetime

from pydantic import BaseModel, Field


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
