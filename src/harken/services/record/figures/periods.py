"""Counts of a period and of the period before it, from the statistics per minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain import times
from harken.errors import InvalidInput, Problem
from harken.models.types import UtcDateTime
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.analytics import MINUTE
from harken.services.record.statistics import MINUTES, TOTALS, counted, total
from harken.services.record.transaction import LOG


class PeriodCounts(NamedTuple):
    """What readers did in a period; `timed` views have a dwell time, `dwell_ms` is their sum."""

    views: int
    engagements: int
    dismissals: int
    contradictions: int
    timed: int
    dwell_ms: int

    @property
    def mean_dwell_sec(self) -> float | None:
        """The mean dwell time in seconds; None if no view was timed."""
        return self.dwell_ms / self.timed / 1_000 if self.timed else None


class Periods(NamedTuple):
    """The counts of a period, and of the one of the same length before it.

    Without `since`, they are of all time. `before` is None then, and also where the log begins
    later than the period before: it would be compared with a part of itself.
    """

    since: datetime | None
    until: datetime | None
    counts: PeriodCounts
    before_since: datetime | None = None
    before: PeriodCounts | None = None


class PeriodFigures:
    """Counts of periods of one database. Their cost does not grow with the log."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def counts(self, since: datetime | None = None, until: datetime | None = None) -> Periods:
        """Return the counts from `since` to before `until` (default: now), and those before.

        Without `since`, of all time. Raises InvalidInput, DatabaseUnavailable.
        """
        if since is None:
            return await self._of_all_time(until)
        begin, end = times.window(since, until, self._clock(), timedelta())
        if begin >= end:
            raise InvalidInput(Problem("since", "must be before until"))
        earlier = begin - min(end - begin, begin - times.EARLIEST_TIME)
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            cut = await complete_since(connection)
            begin, earlier = (_countable(at, cut) for at in (begin, earlier))
            now = await _between(connection, begin, max(begin, end))
            first = (await connection.execute(_first_event(cut))).scalar_one_or_none()
            if first is None or first > earlier or earlier == begin:
                return Periods(begin, end, now)
            return Periods(begin, end, now, earlier, await _between(connection, earlier, begin))

    async def _of_all_time(self, until: datetime | None) -> Periods:
        if until is not None:
            raise InvalidInput(Problem("until", "needs since; without both, all time is counted"))
        async with self._database.reading_anywhere() as connection:
            row = (await connection.execute(total(TOTALS))).one()
        return Periods(None, None, PeriodCounts(*map(int, row)))


async def _between(connection: AsyncConnection, since: datetime, until: datetime) -> PeriodCounts:
    """Count whole minutes in the statistics, and the cut ones at both ends in the log."""
    minutes = (await connection.execute(_minutes(since, until))).one()
    cut = (await connection.execute(_edges(since, until))).one()
    return PeriodCounts(*(int(one) + int(other) for one, other in zip(minutes, cut, strict=True)))


def _minutes(since: datetime, until: datetime) -> Select[Any]:
    inside = MINUTES.c.minute >= _after(since), MINUTES.c.minute < _start(until)
    return total(select(MINUTES).where(*inside).subquery("minutes"))


def _edges(since: datetime, until: datetime) -> Select[Any]:
    at = LOG.c.created_at
    cut = or_(
        and_(at >= since, at < min(_after(since), until)),
        and_(at >= max(_start(until), since), at < until),
    )
    events = select(LOG).where(cut, is_counted(LOG)).subquery("events")
    return select(*counted(events))


def _countable(at: datetime, cut: datetime | None) -> datetime:
    """Return the first time from which on events can be counted.

    Events from before the begin of the log are counted by whole minutes alone.
    """
    return at if cut is None or at >= cut else _after(at)


def _first_event(cut: datetime | None) -> Select[Any]:
    if cut is not None:  # the first event is no longer in the log, and its minute is known
        return select(func.min(MINUTES.c.minute, type_=UtcDateTime))
    at = LOG.c.created_at
    return select(at).where(at >= times.EARLIEST_TIME).order_by(at).limit(1)


def _start(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _after(at: datetime) -> datetime:
    """Return the start of the first whole minute from a time on."""
    return at if at == _start(at) else _start(at) + MINUTE
