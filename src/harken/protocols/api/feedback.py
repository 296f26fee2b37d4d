"""Routes that record the events of readers, and that count them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from harken.domain.times import Time
from harken.errors import Forbidden, HarkenError
from harken.models.types import Unit
from harken.protocols.api import recording
from harken.protocols.api.callers import User, bound_events
from harken.protocols.api.schemas import (
    Analytics,
    Batch,
    BatchRecording,
    Recording,
    Timeseries,
)
from harken.protocols.http.errors import BODY_RESPONSES, described, rejections
from harken.protocols.http.routing import BatchRoute, HarkenRoute
from harken.services.access.rights import Caller
from harken.services.record.persistence import MOST_KBLOCKS, FeedFeedbackPersistence

RECORDING_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Interaction"}}},
    }
}


def recording_routes(
    provide: recording.Provide, provide_service: recording.ProvideService, who: User
) -> APIRouter:
    """Return the router of `/feed/feedback`."""
    router = APIRouter(prefix="/feed", tags=["feedback"], route_class=HarkenRoute)
    batches = APIRouter(route_class=BatchRoute)
    Persistence = Annotated[FeedFeedbackPersistence, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post(
        recording.PATH,
        summary="Record one event",
        response_model=Recording,
        openapi_extra=RECORDING_BODY,
        responses=BODY_RESPONSES
        | described(
            status_409="An event with this id and other content is already in the log.",
            status_410="The reader or the K-Block was erased.",
        ),
    )
    async def record(request: Request, persistence: Persistence, caller: Who) -> Response:
        """Record one event of a reader and a K-Block; the answer is sent after the commit."""
        return await recording.record(request, persistence, caller, provide_service)

    @batches.post("/feedback/batch", summary="Record many events", responses=BODY_RESPONSES)
    async def record_batch(batch: Batch, persistence: Persistence, caller: Who) -> BatchRecording:
        """Record many events; an invalid event is rejected, and the others are recorded."""
        events: list[Any] = batch.events
        places = list(range(len(events)))
        refused: list[tuple[int, HarkenError]] = []
        if caller.is_bound:
            events = await bound_events(batch.events, caller, await provide_service())
            refused = [(at, each) for at, each in enumerate(events) if isinstance(each, Forbidden)]
            places = [at for at, each in enumerate(events) if not isinstance(each, Forbidden)]
            events = [events[at] for at in places]
        result = await persistence.record_batch(events)
        refused += [(places[each.index], each.error) for each in result.rejected]
        return BatchRecording.model_validate(
            {
                "accepted": result.accepted,
                "duplicates": result.duplicates,
                "rejected": rejections(sorted((at, str(error)) for at, error in refused)),
            }
        )

    router.include_router(batches)
    return router


def count_routes(provide: recording.Provide) -> APIRouter:
    """Return the router of the totals under `/feed/analytics`."""
    router = APIRouter(prefix="/feed", tags=["feedback"], route_class=HarkenRoute)
    Persistence = Annotated[FeedFeedbackPersistence, Depends(provide)]  # noqa: N806 — a type

    @router.get("/analytics", summary="Get the most engaged K-Blocks and totals")
    async def analytics(
        persistence: Persistence,
        limit: Annotated[int, Query(ge=1, le=MOST_KBLOCKS)] = 20,
        min_interactions: Annotated[int, Query(ge=0, le=2**31 - 1)] = 1,
    ) -> Analytics:
        """Return the most engaged K-Blocks, totals, and the activity of the last 24 hours."""
        return Analytics.model_validate(await persistence.get_analytics(limit, min_interactions))

    @router.get("/analytics/timeseries", summary="Get activity over time")
    async def timeseries(
        persistence: Persistence,
        bucket: Unit = "hour",
        since: Time | None = None,
        until: Time | None = None,
    ) -> Timeseries:
        """Return counts by minute, hour or day (UTC); without times, of the last 24 hours."""
        return Timeseries.model_validate(await persistence.get_timeseries(bucket, since, until))

    return router
