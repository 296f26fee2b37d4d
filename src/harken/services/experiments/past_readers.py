"""The acts of readers in the latest days, from which the power of an experiment is computed.

Readers are those who got a page of the feeds in the latest `window_days`, or, for a flag, a page of
any feed. Their acts are counted over these days as the results count them: events on pages of other
feeds are left out, and so are readers and events in quarantine. A reader who came late in these
days counts with what they did until now.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, FromClause, and_, case, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import GUEST
from harken.domain.times import micros
from harken.models.types import utc_micros
from harken.services.experiments.definitions import Definition, Readers
from harken.services.experiments.observations import (
    BEFORE_DAYS,
    COUNTS,
    DAY,
    Floats,
    Observations,
    add_acts,
    comes_back,
    count_acts,
    have_acts,
)
from harken.services.record.admission.quarantines import counts, has_counting_reader
from harken.services.record.slates import SLATES
from harken.services.record.transaction import LOG

ARRIVAL_DAYS = 28
"""The days over which the arrival of readers is counted, or `window_days` if these are more."""


class PastReaders(NamedTuple):
    """The readers of the latest days, and how many distinct ones had come by each day's end.

    `readers_by_day` begins with the first day that has a page, at most 28 days or a window ago.
    """

    found: Observations
    readers_by_day: Floats


class PastReaderStore:
    """Reads the readers of the latest days in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, definition: Definition, now: datetime) -> PastReaders:
        """Return who read the feeds of a definition, and what they did.

        Raises DatabaseUnavailable.
        """
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            counting = _Counting(definition, now)
            await counting.pages(connection)
            await counting.returns(connection)
            await counting.events(connection)
        return counting.result()


def _unit(of: Any) -> list[Any]:
    """Return the columns of the unit of a row: the reader, or for a guest the session."""
    session = case((of.user_id == GUEST, of.session_id), else_="")
    return [of.user_id, session.label("session")]


def _is_eligible(definition: Definition, of: Any) -> ColumnElement[bool]:
    is_guest = of.user_id == GUEST
    known = or_(~is_guest, of.session_id.is_not(None))
    wanted = {Readers.ALL: true(), Readers.NAMED: ~is_guest, Readers.GUESTS: is_guest}
    return and_(known, wanted[definition.eligibility.readers])


class _Counting:
    """Counts by unit."""

    def __init__(self, definition: Definition, now: datetime) -> None:
        self._definition = definition
        self._now = now
        self._start = now - timedelta(days=definition.window_days)
        self._places: dict[tuple[str, str], int] = {}
        self._firsts: list[int] = []
        self._within: dict[str, Floats] = {}
        self._before: dict[str, Floats] = {}

    def _served(self) -> FromClause:
        """Return the pages of the feeds, as a subquery (user_id, session, at)."""
        days = max(ARRIVAL_DAYS, self._definition.window_days)
        at = utc_micros(SLATES.c.created_at).label("at")
        since = SLATES.c.created_at >= self._now - timedelta(days=days)
        is_reader = and_(has_counting_reader(SLATES), _is_eligible(self._definition, SLATES.c))
        of = and_(since, self._is_own(), is_reader)
        return select(*_unit(SLATES.c), at).where(of).subquery()

    def _is_own(self) -> ColumnElement[bool]:
        feeds = self._definition.feeds
        return SLATES.c.feed.in_(feeds) if feeds else true()

    async def pages(self, connection: AsyncConnection) -> None:
        pages = self._served().c
        is_within = pages.at >= micros(self._start)
        counted = select(
            pages.user_id, pages.session, func.min(pages.at).label("first"),
            func.sum(case((is_within, 1), else_=0)).label("slates"),
        ).group_by(pages.user_id, pages.session)  # fmt: skip
        slates: list[float] = []
        async for row in await connection.stream(counted):
            self._firsts.append(int(row.first))
            if row.slates:
                self._places[row.user_id, row.session] = len(slates)
                slates.append(float(row.slates))
        for each in (self._within, self._before):
            each.update({name: np.zeros(len(slates)) for name in COUNTS})
        self._within["slates"] = np.array(slates, np.float64)

    async def returns(self, connection: AsyncConnection) -> None:
        """Find who came back within 7 days after their first page of these days."""
        pages = self._served()
        of = pages.c
        first = (
            select(of.user_id, of.session, func.min(of.at).label("first"))
            .where(of.at >= micros(self._start))
            .group_by(of.user_id, of.session)
            .subquery()
        )
        is_same = and_(of.user_id == first.c.user_id, of.session == first.c.session)
        since = of.at - first.c.first
        wanted = (
            select(of.user_id, of.session)
            .select_from(pages.join(first, is_same))
            .where(comes_back(since))
            .distinct()
        )
        async for row in await connection.stream(wanted):
            self._within["returned"][self._places[row.user_id, row.session]] = 1

    async def events(self, connection: AsyncConnection) -> None:
        since = self._start - timedelta(days=BEFORE_DAYS)
        is_before = LOG.c.created_at < self._start
        is_own = or_(SLATES.c.request_id.is_(None), self._is_own())
        acts = (
            select(*_unit(LOG.c), LOG.c.action, LOG.c.dwell_time_ms, is_before.label("is_before"))
            .select_from(LOG.outerjoin(SLATES, SLATES.c.request_id == LOG.c.request_id))
            .where(LOG.c.created_at >= since, LOG.c.created_at < self._now)
            .where(or_(is_before, is_own), counts(LOG), _is_eligible(self._definition, LOG.c))
            .subquery()
            .c
        )
        keys = acts.user_id, acts.session, acts.action, acts.is_before
        counted = select(
            *keys,
            *count_acts(acts.dwell_time_ms),
        ).group_by(*keys)
        async for row in await connection.stream(counted):
            place = self._places.get((row.user_id, row.session))
            if place is not None:
                add_acts(self._before if row.is_before else self._within, place, row)

    def result(self) -> PastReaders:
        count = len(self._places)
        found = Observations(
            user_ids=[user_id for user_id, _session in self._places],
            arms=[],
            allocations=[],
            exposed_at=np.zeros(count),
            is_personalized=np.ones(count, np.bool_),
            is_quarantined=np.zeros(count, np.bool_),
            within=self._within,
            before=self._before,
            was_there=have_acts(self._before),
            joined={},
            credits={},
            testers=0,
        )
        return PastReaders(found, self._arrivals())

    def _arrivals(self) -> Floats:
        if not self._firsts:
            return np.zeros(0)
        ages = (micros(self._now) - np.array(self._firsts, np.float64)) / DAY
        days = int(np.ceil(ages.max())) or 1
        by_day = np.bincount(
            np.clip(days - 1 - np.floor(ages), 0, days - 1).astype(int), minlength=days
        )
        return np.cumsum(by_day).astype(np.float64)
