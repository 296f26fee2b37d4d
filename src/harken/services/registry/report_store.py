"""The store of reports, and the queries for their data."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, String, case, cast, delete, func, insert, literal, select
from uuid_utils import uuid7

from harken.database import Database, Kind, translated
from harken.domain.feedback import GUEST
from harken.domain.times import EARLIEST_TIME, LATEST_TIME, MICROSECOND, micros
from harken.domain.weeks import WEEK, ReaderWeek
from harken.errors import NotFound
from harken.models import FeedReport
from harken.models.types import UtcDateTime, table, utc_micros
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.quarantines import LeftOut, later_quarantines, left_out
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.slates import SLATES
from harken.services.record.statistics import counted
from harken.services.record.transaction import LOG
from harken.services.registry.store import KIND, MODELS
from harken.unreadable_rows import Unreadable, parsed

REPORTS = table(FeedReport)
MOST_KEPT = 100
# How many of the latest reports are tried until one can be read.
MOST_READ = 3
PAGE = 5_000

_HOUR = timedelta(hours=1)


class StoredReport(NamedTuple):
    """A stored report; `code_version` is the version of Harken that made it."""

    id: str
    created_at: datetime
    code_version: str
    report: dict[str, Any]


class MarkedModel(NamedTuple):
    """A model that may have been trained with what was erased or set aside since."""

    model_id: str
    erasures: int
    quarantines: int
    in_service: bool


class ReportStore:
    """The reports of one database."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock
        self._unreadable = Unreadable()

    async def event_range(self) -> tuple[datetime, datetime] | None:
        """Return the times of the first and last event that counts; None without any.

        The first one is not before the begin of the log.
        Raises DatabaseUnavailable.
        """
        at = LOG.c.created_at
        ends = [
            select(end(at, type_=UtcDateTime))
            .where(at >= EARLIEST_TIME, at <= LATEST_TIME, is_counted(LOG))
            .scalar_subquery()
            for end in (func.min, func.max)
        ]
        async with self._database.reading() as connection:
            first, last = (await connection.execute(select(*ends))).one()
            begin = await complete_since(connection)
        if first is None or (begin is not None and last < begin):
            return None
        return (first if begin is None else max(first, begin)), last

    async def marked(self, serving: str | None) -> list[MarkedModel]:
        """Return models that may have been trained with what was erased or set aside since.

        `serving` is the model in service. Raises DatabaseUnavailable.
        """
        own, aside = MODELS.c, later_quarantines(MODELS).label("quarantines")
        wanted = select(own.model_id, own.erasures, aside).where(own.kind == KIND)
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanted.order_by(own.model_id))).all()
        found = (
            MarkedModel(row.model_id, row.erasures, row.quarantines, row.model_id == serving)
            for row in rows
        )
        return [each for each in found if each.erasures or each.quarantines]

    async def left_out(self) -> LeftOut:
        """Return how much is in quarantine, and so in no report. Raises DatabaseUnavailable."""
        async with self._database.reading() as connection:
            return await left_out(connection)

    async def weekly(self, begin: datetime, weeks: int) -> AsyncIterator[list[ReaderWeek]]:
        """Yield counts by reader, week and ranking, for `weeks` weeks from a Monday, in pages.

        Rows of one reader follow each other, in the order of weeks. A guest's visit is the session,
        or without a session the hour. Raises DatabaseUnavailable.
        """
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            complete = max(begin, await complete_since(connection) or begin)
            rows = await connection.stream(_by_week(begin, begin + weeks * WEEK, complete))
            async for page in rows.partitions(PAGE):
                # PostgreSQL returns sums as Decimal.
                yield [ReaderWeek(*row[:4], *map(int, row[4:])) for row in page]

    async def add(self, report: Mapping[str, Any], code_version: str) -> StoredReport:
        """Store a report and delete all but the latest 100. Raises DatabaseUnavailable."""
        stored = StoredReport(str(uuid7()), self._clock(), code_version, dict(report))
        new = insert(REPORTS).values(
            report_id=stored.id,
            created_at=stored.created_at,
            code_version=code_version,
            report=json.dumps(stored.report),
        )
        kept = _latest(REPORTS.c.report_id).limit(MOST_KEPT)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(new)
                await connection.execute(delete(REPORTS).where(REPORTS.c.report_id.not_in(kept)))
        return stored

    async def latest(self) -> StoredReport:
        """Return the latest report. Raises NotFound if there is none, or DatabaseUnavailable."""
        async with self._database.reading() as connection:
            found = await connection.execute(_latest(*REPORTS.c).limit(MOST_READ))
            rows = found.all()
        for report_id, created_at, code_version, text in rows:
            if created_at is not None and (report := parsed(text, dict)) is not None:
                return StoredReport(report_id, created_at, code_version, report)
            self._unreadable.name("report", report_id, "make a new one with `harken report`")
        raise NotFound("there is no report yet: run `harken report`")


def _latest(*columns: Any) -> Select[Any]:
    order = REPORTS.c.created_at.desc(), REPORTS.c.report_id.desc()
    return select(*columns).order_by(*order)


def _by_week(begin: datetime, end: datetime, complete: datetime) -> Select[Any]:
    # A subquery, since PostgreSQL treats equal expressions with parameters as different.
    wanted = ("user_id", "action", "dwell_time_ms", "request_id")
    since_begin = utc_micros(LOG.c.created_at) - micros(begin)
    is_guest = LOG.c.user_id == GUEST
    hour = literal("hour ") + cast(since_begin // (_HOUR // MICROSECOND), String)
    events = (
        select(
            *(LOG.c[name] for name in wanted),
            case((is_guest, func.coalesce(literal("session ") + LOG.c.session_id, hour))).label(
                "visit"
            ),
            (since_begin // (WEEK // MICROSECOND)).label("week"),
        )
        .where(
            LOG.c.created_at >= max(complete, EARLIEST_TIME),
            LOG.c.created_at < min(end, LATEST_TIME),
            is_counted(LOG),
        )
        .subquery("events")
    )
    # Request ids are compared by bytes, with the collation of the slates' column.
    same = SLATES.c.request_id == cast(events.c.request_id, SLATES.c.request_id.type)
    keys = events.c.user_id, events.c.visit, events.c.week, SLATES.c.ranking
    return (
        select(*keys, *counted(events))
        .select_from(events.outerjoin(SLATES, same))
        .group_by(*keys)
        .order_by(*keys)
    )
