"""Models of the answers of who follows the log, and the answers as JSON."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from harken.services.record.log_order.following import Followed, LogPage
from harken.unreadable_rows import parsed


class LoggedEvent(BaseModel):
    """An event of the log, with the fields in which it was recorded."""

    interaction_id: str
    user_id: str
    kblock_id: str
    action: str
    dwell_time_ms: int | None
    interaction_type: str | None
    metadata: dict[str, Any] | None
    occurred_at: datetime | None = Field(description="When it happened.")
    request_id: str | None
    position: int | None
    session_id: str | None
    recorded_at: datetime | None = Field(description="When it was recorded.")
    set_aside: bool = Field(description="Whether it is in quarantine now, and counts nothing.")
    cursor: str = Field(description="To follow from after this event on.")


class LoggedEvents(BaseModel):
    """Events in the order of commits."""

    events: list[LoggedEvent]
    next: str | None = Field(
        description="The cursor of the next page; null at the beginning of an empty log."
    )
    has_more: bool = Field(description="Whether there are more events already.")


def as_json(page: LogPage) -> dict[str, Any]:
    """Return a page as `LoggedEvents` describes it."""
    return {
        "events": [event_as_json(each) for each in page.events],
        "next": page.cursor,
        "has_more": page.has_more,
    }


def event_as_json(followed: Followed) -> dict[str, Any]:
    """Return an event as `LoggedEvent` describes it."""
    entry = followed.entry
    return {
        "interaction_id": entry.id,
        "user_id": entry.user_id,
        "kblock_id": entry.kblock_id,
        "action": entry.action,
        "dwell_time_ms": entry.dwell_time_ms,
        "interaction_type": entry.interaction_type,
        "metadata": parsed(entry.interaction_metadata, dict),
        "occurred_at": entry.created_at,
        "request_id": entry.request_id,
        "position": entry.position,
        "session_id": entry.session_id,
        "recorded_at": followed.recorded_at,
        "set_aside": followed.set_aside,
        "cursor": followed.place.encode(),
    }
