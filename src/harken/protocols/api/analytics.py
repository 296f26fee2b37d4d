"""The routes that say what happened in a window of time, and how far the log reaches."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from harken.domain.times import Time
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.routing import HarkenRoute
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockName
from harken.services.record.window_analytics import (
    MOST_KBLOCKS,
    MOST_POINTS,
    DwellDistribution,
    Leaders,
    Measure,
)


class Extent(BaseModel):
    """How far the log reaches; null where it is empty."""

    first: datetime | None
    last: datetime | None


class WindowShape(BaseModel):
    """What was counted: from `since` on, and before `until`."""

    since: datetime
    until: datetime
    is_shortened: bool = Field(
        description="Whether it begins later than was asked, to count no more than can be."
    )


class BucketShape(BaseModel):
    """A range of dwell times, and how many views lie in it."""

    from_ms: int
    to_ms: int | None = Field(description="What lies in it is less; null for the last.")
    views: int


class Dwell(WindowShape):
    """How long views took."""

    views: int
    timed: int = Field(description="Views that carried a dwell time; the others are not below.")
    mean_ms: float | None
    median_ms: int | None = Field(description="Of an even number, the lower in the middle.")
    buckets: list[BucketShape]


class TrendShape(BaseModel):
    """Counts in each part of the window, the earliest first."""

    views: list[int]
    engagements: list[int]
    dismissals: list[int]


class LeaderShape(BaseModel):
    """A K-Block: what everybody did with it at any time, and its trend in the window."""

    kblock_id: str
    title: str | None = Field(description="Null where only the log knows it.")
    attention_score: float
    views: int
    engagements: int
    dismissals: int
    unique_viewers: int
    avg_dwell_time_sec: float | None
    last_engaged_at: datetime | None
    trend: TrendShape


class LeadersShape(WindowShape):
    """K-Blocks in their order."""

    by: Measure
    part_seconds: float = Field(description="How long each part of the trends is.")
    kblocks: list[LeaderShape]


def routes(provide: Provide) -> APIRouter:
    """Make the routes under `/feed/analytics` that read the log."""
    router = APIRouter(prefix="/feed/analytics", tags=["feedback"], route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("/extent", summary="How far the log reaches")
    async def extent(service: Service) -> Extent:
        """Say when the first and the last event of the log happened."""
        first, last = await service.registry.reports.event_range() or (None, None)
        return Extent(first=first, last=last)

    @router.get("/dwell", summary="How long views took")
    async def dwell(
        service: Service, since: Time | None = None, until: Time | None = None
    ) -> Dwell:
        """Say how long the views of a window took; without times, of the last 30 days."""
        return _dwell(await service.analytics.dwell(since, until))

    @router.get("/kblocks", summary="Which K-Blocks lead, and their trends")
    async def kblocks(
        service: Service,
        by: Measure = "attention",
        limit: Annotated[int, Query(ge=1, le=MOST_KBLOCKS)] = 20,
        points: Annotated[int, Query(ge=1, le=MOST_POINTS)] = 30,
        since: Time | None = None,
        until: Time | None = None,
    ) -> LeadersShape:
        """Return the K-Blocks that lead by a measure, with their trends in a window."""
        found = await service.analytics.leaders(by, limit, points, since, until)
        names = await service.kblocks.names([row.kblock_id for row in found.kblocks])
        return _leaders(by, found, names)

    return router


def _dwell(found: DwellDistribution) -> Dwell:
    return Dwell(
        **found.window._asdict(),
        views=found.views,
        timed=found.timed,
        mean_ms=found.mean_ms,
        median_ms=found.median_ms,
        buckets=[BucketShape(**each._asdict()) for each in found.buckets],
    )


def _leaders(by: Measure, found: Leaders, names: Mapping[str, KBlockName]) -> LeadersShape:
    return LeadersShape(
        **found.window._asdict(),
        by=by,
        part_seconds=found.part.total_seconds(),
        kblocks=[_leader(row, found, names.get(row.kblock_id)) for row in found.kblocks],
    )


def _leader(row: Any, found: Leaders, name: KBlockName | None) -> LeaderShape:
    return LeaderShape(
        kblock_id=row.kblock_id,
        title=None if name is None else name.title,
        attention_score=row.attention_score,
        views=row.view_count,
        engagements=row.engage_count,
        dismissals=row.dismiss_count,
        unique_viewers=row.unique_viewers,
        avg_dwell_time_sec=row.avg_dwell_time_sec,
        last_engaged_at=row.last_engaged_at,
        trend=TrendShape(**vars(found.trends[row.kblock_id])),
    )
