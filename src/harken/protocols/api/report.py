"""The route of the report, which says whether the feed is getting better."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from harken.protocols import presentation
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import described
from harken.protocols.http.routing import HarkenRoute
from harken.services.feed.service import FeedService
from harken.services.registry.reporting import MOST_WEEKS

MISSING = described(status_404="There is no report yet.")
RATIO = "Null without views; the bounds also with fewer than 10 readers."


class RatioShape(BaseModel):
    """A ratio, and its 95 % interval by drawing other readers."""

    value: float | None
    low: float | None
    high: float | None


class CountedShape(BaseModel):
    """What happened in a week."""

    week: str = Field(description="By ISO 8601, such as 2026-W40.")
    begin: datetime = Field(description="A Monday, UTC.")
    end: datetime
    views: int
    engagements: int
    dismissals: int
    readers: int = Field(description="Those with a name who did anything.")
    guest_visits: int = Field(description="Sessions of guests; of those without one, hours.")
    avg_dwell_time_sec: float | None
    engagement_per_view: RatioShape = Field(description=RATIO)
    dismissals_per_view: RatioShape = Field(description=RATIO)


class WeekShape(CountedShape):
    """All that happened in a week."""

    is_partial: bool = Field(description="Whether the log begins or ends in it.")


class RankingShape(CountedShape):
    """What one ranking led to in a week, by the slates that events name."""

    ranking: str | None = Field(description="Null for events of which no slate is known.")


class ComparedShape(BaseModel):
    """The last full week beside earlier ones together, in engagements per view."""

    week: str
    than: list[str]
    now: float
    then: float
    difference: float
    low: float | None
    high: float | None


class AnswerShape(BaseModel):
    """The answer, by the first of what is compared."""

    verdict: Literal["better", "worse", "not_known"]
    text: str
    compared: list[ComparedShape]


class DifferenceShape(BaseModel):
    """How much better the model did than another order, on the same impressions."""

    than: str
    metric: str
    difference: float
    low: float | None
    high: float | None


class MeasuredShape(BaseModel):
    """What a model did, on impressions that it was not trained on."""

    model_id: str
    basis: Literal["in_service", "held_out"] | None = Field(
        description="While it was in service; or after what it was trained on, to the log's end."
    )
    begin: datetime = Field(alias="from")
    until: datetime
    impressions: int = Field(description="How many were asked for, drawn from all.")
    measurable: int | None = Field(
        None, description="How many there are; earlier reports do not say."
    )
    readers: int
    rankings: dict[str, dict[str, float]] = Field(
        description="The metrics of the model (learned) and of other orders."
    )
    differences: list[DifferenceShape]
    problem: str | None = Field(description="Why there are no figures, where that is known.")


class ReportShape(BaseModel):
    """The latest report."""

    report_id: str
    created_at: datetime
    code_version: str
    answer: AnswerShape
    weeks: list[WeekShape]
    rankings: list[RankingShape]
    models: list[MeasuredShape]


def routes(provide: Provide) -> APIRouter:
    """Make the route `/report`."""
    router = APIRouter(prefix="/report", tags=["models"], route_class=HarkenRoute)

    @router.get(
        "", summary="Is the feed getting better?", response_model=ReportShape, responses=MISSING
    )
    async def latest(
        service: Annotated[FeedService, Depends(provide)],
        weeks: Annotated[
            int | None, Query(ge=1, le=MOST_WEEKS, description="Only the latest so many.")
        ] = None,
    ) -> Response:
        """Return the latest report that `harken report` made."""
        content = presentation.report(await service.registry.reports.latest(), weeks)
        return Response(to_json(content), media_type="application/json")

    return router
