"""What REST answers, and what it takes beyond an `Interaction`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator

from harken.domain.feedback import Interaction
from harken.models.types import Unit

BATCH_LIMIT = 1_000


def _listed(value: Any, _check: ValidatorFunctionWrapHandler) -> Any:
    # Described as Interactions, and checked one by one later: a bad event rejects itself alone.
    if not isinstance(value, list):
        raise ValueError("must be a list of events")  # noqa: TRY004 — what pydantic understands
    if len(value) > BATCH_LIMIT:
        raise ValueError(f"has {len(value)} events; at most {BATCH_LIMIT} are taken at once")
    return value


class Recording(BaseModel):
    """An interaction that is in the log."""

    success: bool = True
    interaction_id: str
    duplicate: bool | None = Field(
        None, description="True where the event had been recorded before, and counted nothing now."
    )


class Batch(BaseModel):
    """Many interactions."""

    events: Annotated[list[Interaction], Field(max_length=BATCH_LIMIT), WrapValidator(_listed)]


class RejectedEvent(BaseModel):
    """An event that was not recorded."""

    index: int = Field(description="Its place in the batch, from 0.")
    error: str = Field(description="Which field is wrong, and what would be right.")


class BatchRecording(BaseModel):
    """What became of a batch: each event is accepted, a duplicate, or rejected."""

    accepted: int
    duplicates: int
    rejected: list[RejectedEvent]


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
