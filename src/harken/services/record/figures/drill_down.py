"""Figures of one K-Block, and of one reader."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select

from harken.database import Database, Kind
from harken.domain.times import MICROSECOND
from harken.services.record.figures.periods import PeriodCounts
from harken.services.record.statistics import counted
from harken.services.record.transaction import LOG
from harken.services.record.window_analytics import (
    MOST_EVENTS,
    Trend,
    Window,
    asked_window,
    shortened,
    statistics_of,
    trends,
    trends_by_id,
    within,
)

PARTS = 30
LATEST = 20


class KBlockFigures(NamedTuple):
    """One K-Block: its statistics of all time (None without events), and counts in a window.

    `trend` has the counts of `PARTS` equal parts of the window, each as long as `part`.
    """

    window: Window
    of_all_time: Row[Any] | None
    counts: PeriodCounts
    readers: int
    part: timedelta
    trend: Trend


class Act(NamedTuple):
    """One event of a reader."""

    kblock_id: str
    action: str
    interaction_type: str | None
    dwell_time_ms: int | None
    created_at: datetime


class ReaderFigures(NamedTuple):
    """One reader: counts in a window, on how many K-Blocks, and the latest events, latest first."""

    window: Window
    counts: PeriodCounts
    kblocks: int
    latest: Sequence[Act]


class DrillDown:
    """Figures of single K-Blocks and readers of one database."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most_events

    async def kblock(
        self, kblock_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> KBlockFigures:
        """Return the figures of a K-Block; the default window is the last 30 days.

        Of a K-Block without events, all counts are 0. Raises InvalidInput, DatabaseUnavailable.
        """
        asked = asked_window(since, until, self._clock())
        is_it = LOG.c.kblock_id == kblock_id
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            known = (await connection.execute(statistics_of(kblock_id))).one_or_none()
            window = await shortened(connection, asked, self._most, is_it)
            readers, *counts = (
                await connection.execute(_counts(window, is_it, LOG.c.user_id))
            ).one()
            part = max(-((window.since - window.until) // PARTS), MICROSECOND)
            found = (await connection.execute(trends(window, part, [kblock_id], self._most))).all()
        trend = trends_by_id(found, [kblock_id], PARTS)[kblock_id]
        return KBlockFigures(
            window, known, PeriodCounts(*map(int, counts)), int(readers), part, trend
        )

    async def reader(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> ReaderFigures:
        """Return the figures of a reader; the default window is the last 30 days.

        Raises InvalidInput, DatabaseUnavailable.
        """
        asked = asked_window(since, until, self._clock())
        is_theirs = LOG.c.user_id == user_id
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            window = await shortened(connection, asked, self._most, is_theirs)
            kblocks, *counts = (
                await connection.execute(_counts(window, is_theirs, LOG.c.kblock_id))
            ).one()
            latest = (await connection.execute(_latest(window, is_theirs))).all()
        acts = [Act(*row) for row in latest]
        return ReaderFigures(window, PeriodCounts(*map(int, counts)), int(kblocks), acts)


def _counts(window: Window, those: ColumnElement[bool], others: ColumnElement[str]) -> Select[Any]:
    """Count different values of a column, and events by action."""
    events = select(LOG).where(within(window), those).subquery("events")
    return select(func.count(events.c[others.name].distinct()), *counted(events))


def _latest(window: Window, those: ColumnElement[bool]) -> Select[Any]:
    columns = (LOG.c[name] for name in Act._fields)
    wanted = select(*columns).where(within(window), those)
    return wanted.order_by(LOG.c.created_at.desc(), LOG.c.id.desc()).limit(LATEST)
