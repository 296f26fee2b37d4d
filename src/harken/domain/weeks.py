"""Weeks in UTC, from Monday to Sunday, and the activity of readers per week."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

WEEK = timedelta(weeks=1)
SLACK = timedelta(days=1)
"""A week counts as complete if its first and last event are this close to its ends."""


def week_of(at: datetime) -> datetime:
    """Return the Monday at which the week of an aware time begins, in UTC.

    >>> week_of(datetime(2026, 10, 4, 23, 59, tzinfo=UTC)).isoformat()
    '2026-09-28T00:00:00+00:00'
    """
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=at.weekday())


def week_name(begin: datetime) -> str:
    """Return the ISO 8601 name of the week that begins on the Monday `begin`.

    >>> week_name(datetime(2026, 12, 28, tzinfo=UTC))
    '2026-W53'
    """
    year, week, _ = begin.isocalendar()
    return f"{year}-W{week:02d}"


class ReaderWeek(NamedTuple):
    """The interactions of one reader in one week that came from the pages of one ranking.

    A guest is identified by `visit`. `week` counts from 0. `ranking` is None if the ranking is
    unknown. Dwell times are in milliseconds.
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
