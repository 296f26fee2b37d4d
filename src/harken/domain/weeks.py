"""Weeks of UTC, from Monday to Sunday, and what readers did in them."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

WEEK = timedelta(weeks=1)
SLACK = timedelta(days=1)
"""Without an event at its begin or end, a week is whole all the same: nobody may have come."""


def week_of(at: datetime) -> datetime:
    """Return the Monday at which the week of an aware time begins, in UTC.

    >>> week_of(datetime(2026, 10, 4, 23, 59, tzinfo=UTC)).isoformat()
    '2026-09-28T00:00:00+00:00'
    """
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=at.weekday())


def week_name(begin: datetime) -> str:
    """Return what ISO 8601 calls the week that begins on a Monday.

    >>> week_name(datetime(2026, 12, 28, tzinfo=UTC))
    '2026-W53'
    """
    year, week, _ = begin.isocalendar()
    return f"{year}-W{week:02d}"


class ReaderWeek(NamedTuple):
    """What one reader did in one week, of what one ranking led to.

    Guests have a `visit` each; `week` counts from 0. Where nobody knows which ranking led to it,
    `ranking` is None. Dwell times are in milliseconds.
    """

    user_id: str
    visit: str | None
    week: int
    ranking: str | None
    views: int
    engagements: int
    dismissals: int
    contradictions: int
    timed: int
    dwell_ms: int
