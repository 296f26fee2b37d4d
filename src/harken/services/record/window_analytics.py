"""Analytics of a window of time, counted in the log.

The statistics contain totals; only the log has the time of each interaction with a K-Block, and the
duration of each view. The cost is bounded: a window with more than `MOST_EVENTS` interactions is
shortened to begin later, and marked as shortened.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, Row, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain import times
from harken.domain.feedback import FeedbackAction
from harken.domain.times import MICROSECOND, micros
from harken.errors import InvalidInput, Problem
from harken.models.types import utc_micros
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.statistics import KBLOCKS
from harken.services.record.transaction import LOG

MOST_EVENTS = 100_000
DEFAULT_LENGTH = timedelta(days=30)
MOST_KBLOCKS = 100
MOST_POINTS = 100

DWELL_EDGES_MS = (
    0, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000,
    120_000, 240_000, 480_000, 900_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Lower bounds of dwell time buckets in ms; each is about twice the one before (log scale)."""

Measure = Literal["attention", "engagements", "views", "dismissals"]
_MEASURES = {
    "attention": KBLOCKS.c.attention_score,
    "engagements": KBLOCKS.c.engage_count,
    "views": KBLOCKS.c.view_count,
    "dismissals": KBLOCKS.c.dismiss_count,
}
_SHOWN = (
    "kblock_id", "attention_score", "view_count", "engage_count", "dismiss_count",
    "unique_viewers", "avg_dwell_time_sec", "last_engaged_at",
)  # fmt: skip
_TREND = (FeedbackAction.VIEW, FeedbackAction.ENGAGE, FeedbackAction.DISMISS)


class Window(NamedTuple):
    """The counted window: from `since` to before `until`."""

    since: datetime
    until: datetime
    is_shortened: bool = False


class DwellBucket(NamedTuple):
    """The number of views from `from_ms` to less than `to_ms`; None means no upper bound."""

    from_ms: int
    to_ms: int | None
    views: int


@dataclass(frozen=True)
class DwellDistribution:
    """Dwell times of views; `timed` is the number of views with one. Without any, both are None."""

    window: Window
    views: int
    timed: int
    mean_ms: float | None
    median_ms: int | None  # of an even number, the lower of the two in the middle
    buckets: Sequence[DwellBucket]


@dataclass(frozen=True)
class Trend:
    """Counts of a K-Block in equal parts of a window; each list has one count per part."""

    views: list[int]
    engagements: list[int]
    dismissals: list[int]


@dataclass(frozen=True)
class Leaders:
    """The top K-Blocks by a measure, as rows of their statistics, with their trends by id."""

    window: Window
    part: timedelta
    kblocks: Sequence[Row[Any]]
    trends: dict[str, Trend]


class WindowAnalytics:
    """Analytics over windows of one database's log."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most_events

    async def dwell(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> DwellDistribution:
        """Return the dwell times of a window's views; the default window is the last 30 days.

        Raises InvalidInput, DatabaseUnavailable.
        """
        asked = asked_window(since, until, self._clock())
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            window = await shortened(connection, asked, self._most)
            views, timed, total, *counts = (await connection.execute(dwell_counts(window))).one()
            median = None
            if timed:
                found = await connection.execute(dwell_at_rank(window, (timed - 1) // 2))
                median = found.scalar_one()
        ends = [*pairwise(DWELL_EDGES_MS), (DWELL_EDGES_MS[-1], None)]
        buckets = [DwellBucket(*ends[n], count) for n, count in enumerate(counts)]
        # PostgreSQL may return the sum of integers as a Decimal.
        mean = int(total) / timed if timed else None
        return DwellDistribution(window, views, timed, mean, median, buckets)

    async def leaders(
        self,
        by: Measure = "attention",
        limit: int = 20,
        points: int = 30,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Leaders:
        """Return the top K-Blocks by a measure of all time, and their trends in a window.

        K-Blocks with 0 are left out; ties are ordered by id. The default window is the last 30
        days; a trend has `points` equal parts. Raises InvalidInput, DatabaseUnavailable.
        """
        asked = asked_window(since, until, self._clock())
        _check("by", by in get_args(Measure), f"must be one of {', '.join(get_args(Measure))}")
        _check("limit", 1 <= limit <= MOST_KBLOCKS, f"must be from 1 to {MOST_KBLOCKS}")
        _check("points", 1 <= points <= MOST_POINTS, f"must be from 1 to {MOST_POINTS}")
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            kblocks = (await connection.execute(leading(by, limit))).all()
            window = await shortened(connection, asked, self._most)
            part = max(-((window.since - window.until) // points), MICROSECOND)
            ids = [row.kblock_id for row in kblocks]
            found = await connection.execute(trends(window, part, ids, self._most))
            counted = found.all()
        return Leaders(window, part, kblocks, trends_by_id(counted, ids, points))


def asked_window(since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """Return a window, by default the last 30 days; raises InvalidInput if it is empty."""
    asked = Window(*times.window(since, until, now, DEFAULT_LENGTH))
    _check("since", asked.since < asked.until, "must be before until")
    return asked


async def shortened(
    connection: AsyncConnection, window: Window, most: int, *those: ColumnElement[bool]
) -> Window:
    """Return a window that has at most the latest `most` of its events, or of those of them.

    It begins where the log is complete.
    """
    window = await since_begin(connection, window)
    found = await connection.execute(event_before(window, most, *those))
    return begun_after(window, found.scalar_one_or_none())


async def since_begin(connection: AsyncConnection, window: Window) -> Window:
    """Return a window that begins where the log is complete, if that is later.

    A window that lies before it ends where it begins.
    """
    begin = await complete_since(connection)
    if begin is None or begin <= window.since:
        return window
    return Window(begin, max(begin, window.until), True)


def begun_after(window: Window, *before: datetime | None) -> Window:
    """Return a window that begins after the latest of some times; None is no time."""
    times = [at for at in before if at is not None]
    return Window(max(times) + MICROSECOND, window.until, True) if times else window


def event_before(window: Window, count: int, *those: ColumnElement[bool]) -> Select[Any]:
    """Select the time of the event before the latest `count` of a window, or of those of them."""
    at = LOG.c.created_at
    return select(at).where(within(window), *those).order_by(at.desc()).offset(count).limit(1)


def dwell_counts(window: Window) -> Select[Any]:
    """Select the numbers of views and timed views, their total ms, and each bucket, as one row."""
    dwell = LOG.c.dwell_time_ms
    ends = [*pairwise(DWELL_EDGES_MS), (DWELL_EDGES_MS[-1], None)]
    counts = [
        func.count().filter(dwell >= least if end is None else and_(dwell >= least, dwell < end))
        for least, end in ends
    ]
    columns: list[ColumnElement[Any]] = [func.count(), func.count(dwell), func.sum(dwell), *counts]
    return select(*columns).where(within(window), _is(FeedbackAction.VIEW))


def dwell_at_rank(window: Window, rank: int) -> Select[Any]:
    """Select the dwell time of a rank, counted from 0 for the shortest."""
    dwell = LOG.c.dwell_time_ms
    timed = within(window), _is(FeedbackAction.VIEW), dwell.is_not(None)
    return select(dwell).where(*timed).order_by(dwell).offset(rank).limit(1)


def leading(by: Measure, limit: int) -> Select[Any]:
    """Select the K-Blocks with the highest values of a measure; ties in the order of their ids."""
    measure = _MEASURES[by]
    return (
        select(*(KBLOCKS.c[name] for name in _SHOWN))
        .where(measure > 0)
        .order_by(measure.desc(), KBLOCKS.c.kblock_id)
        .limit(limit)
    )


def statistics_of(kblock_id: str) -> Select[Any]:
    """Select the statistics of one K-Block, as `leading` does."""
    shown = (KBLOCKS.c[name] for name in _SHOWN)
    return select(*shown).where(KBLOCKS.c.kblock_id == kblock_id)


def trends_by_id(
    rows: Iterable[Sequence[Any]], ids: Iterable[str], points: int
) -> dict[str, Trend]:
    """Return the trends of K-Blocks from the rows of `trends`; without rows, all counts are 0."""
    found = {kblock_id: Trend([0] * points, [0] * points, [0] * points) for kblock_id in ids}
    for kblock_id, number, *counts in rows:
        trend = found[kblock_id]
        trend.views[number], trend.engagements[number], trend.dismissals[number] = counts
    return found


def trends(window: Window, part: timedelta, ids: Sequence[str], most: int) -> Select[Any]:
    """Count interactions with K-Blocks by action, for each part of the window, from 0."""
    began = micros(window.since)
    number = (utc_micros(LOG.c.created_at) - began) // (part // MICROSECOND)
    # The limit keeps the planner from reading all events of these K-Blocks.
    events = (
        select(LOG.c.kblock_id, LOG.c.action, number.label("number"))
        .where(within(window))
        .order_by(LOG.c.created_at.desc())
        .limit(most)
        .subquery("events")
    )
    counts = [func.count().filter(events.c.action == action.value) for action in _TREND]
    keys = events.c.kblock_id, events.c.number
    return select(*keys, *counts).where(events.c.kblock_id.in_(list(ids))).group_by(*keys)


def within(window: Window) -> ColumnElement[bool]:
    """Tell of an event whether it is in a window, and counts."""
    at = LOG.c.created_at
    return and_(at >= window.since, at < window.until, is_counted(LOG))


def _is(action: FeedbackAction) -> ColumnElement[bool]:
    return LOG.c.action == action.value


def _check(name: str, is_right: bool, what_would_be: str) -> None:  # noqa: FBT001
    if not is_right:
        raise InvalidInput(Problem(name, what_would_be))
