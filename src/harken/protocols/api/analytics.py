"""Routes of the analytics of a window of time, and of the extent of the log."""

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
    Trend,
)


class Extent(BaseModel):
    """The times of the first and last event of the log; null if the log is empty."""

    first: datetime | None
    last: datetime | None


class WindowShape(BaseModel):
    """The window that was counted: from `since`, inclusive, until `until`, exclusive."""

    since: datetime
    until: datetime
    is_shortened: bool = Field(
        description="Whether `since` is later than requested, to limit the counted events."
    )


class BucketShape(BaseModel):
    """The number of views with a dwell time from `from_ms` to less than `to_ms`."""

    from_ms: int
    to_ms: int | None = Field(description="Exclusive; null for the last bucket.")
    views: int


class Dwell(WindowShape):
    """The distribution of the dwell times of views."""

    views: int
    timed: int = Field(
        description="Views with a dwell time. Mean, median and buckets count these only."
    )
    mean_ms: float | None
    median_ms: int | None = Field(
        description="The lower of the two middle values if their number is even."
    )
    buckets: list[BucketShape]


class TrendShape(BaseModel):
    """Counts in equal parts of the window, earliest first."""

    views: list[int]
    engagements: list[int]
    dismissals: list[int]


class LeaderShape(BaseModel):
    """A K-Block with its counts over the whole log, and its trend in the window."""

    kblock_id: str
    title: str | None = Field(description="Null if the K-Block is in the log only.")
    attention_score: float
    views: int
    engagements: int
    dismissals: int
    unique_viewers: int
    avg_dwell_time_sec: float | None
    last_engaged_at: datetime | None
    trend: TrendShape


class LeadersShape(WindowShape):
    """The K-Blocks with the highest values of a measure, highest first."""

    by: Measure
    part_seconds: float = Field(description="Length of each part of the trends, in seconds.")
    kblocks: list[LeaderShape]


def routes(provide: Provide) -> APIRouter:
    """Return the router of the routes under `/feed/analytics` that read the log."""
    router = APIRouter(prefix="/feed/analytics", tags=["feedback"], route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("/extent", summary="Get the extent of the log")
    async def extent(service: Service) -> Extent:
        """Return the times of the first and the last event of the log."""
        first, last = await service.registry.reports.event_range() or (None, None)
        return Extent(first=first, last=last)

    @router.get("/dwell", summary="Get the distribution of dwell times")
    async def dwell(
        service: Service, since: Time | None = None, until: Time | None = None
    ) -> Dwell:
        """Return the dwell times of the views in a window; without times, of the last 30 days."""
        return _dwell(await service.analytics.dwell(since, until))

    @router.get("/kblocks", summary="List the leading K-Blocks, with trends")
    async def kblocks(
        service: Service,
        by: Measure = "attention",
        limit: Annotated[int, Query(ge=1, le=MOST_KBLOCKS)] = 20,
        points: Annotated[int, Query(ge=1, le=MOST_POINTS)] = 30,
        since: Time | None = None,
        until: Time | None = None,
    ) -> LeadersShape:
        """Return the K-Blocks with the highest values of a measure, with trends in a window."""
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
    titles = {kblock_id: name.title for kblock_id, name in names.items()}
    return LeadersShape(
        **found.window._asdict(),
        by=by,
        part_seconds=found.part.total_seconds(),
        kblocks=[
            leader(row, titles.get(row.kblock_id), found.trends[row.kblock_id])
            for row in found.kblocks
        ],
    )


def leader(row: Any, title: str | None, trend: Trend) -> LeaderShape:
    """Return the shape of a K-Block from the row of its statistics, and its trend."""
    return LeaderShape(
        kblock_id=row.kblock_id,
        title=title,
        attention_score=row.attention_score,
        views=row.view_count,
        engagements=row.engage_count,
        dismissals=row.dismiss_count,
        unique_viewers=row.unique_viewers,
        avg_dwell_time_sec=row.avg_dwell_time_sec,
        last_engaged_at=row.last_engaged_at,
        trend=TrendShape(**vars(trend)),
    )
