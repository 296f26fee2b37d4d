"""The feed's routes; `create_feed_router()` mounts them into any FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import AwareDatetime

from harken.models.types import Unit
from harken.protocols.api import recording
from harken.protocols.api.errors import RESPONSES
from harken.protocols.api.routing import BatchRoute, HarkenRoute
from harken.protocols.api.schemas import (
    Analytics,
    Batch,
    BatchRecording,
    Recording,
    Timeseries,
)
from harken.services.feed.persistence import (
    MOST_KBLOCKS,
    QUEUE_LIMIT,
    FeedFeedbackPersistence,
)
from harken.services.providers import Singleton, get_feed_feedback_persistence

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

PREFIX = "/api/feed"

RECORDING_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Interaction"}}},
    }
}


def create_feed_router(
    session_factory: "async_sessionmaker[AsyncSession] | None" = None,
    *,
    schema: str | None = None,
    queue_limit: int = QUEUE_LIMIT,
    prefix: str = PREFIX,
) -> APIRouter:
    """Make the router of `/api/feed`.

    With a session factory it records in that database, which `harken migrate` has to have set up,
    and commits what waits when the application shuts down; `schema` names the tables' PostgreSQL
    schema where that is not the default one, and `queue_limit` events may wait for their commit.
    Without a session factory it uses the configured database.
    """
    if session_factory is None:
        return _router(get_feed_feedback_persistence, prefix)

    @Singleton
    async def provide() -> FeedFeedbackPersistence:
        return FeedFeedbackPersistence(session_factory, schema=schema, queue_limit=queue_limit)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if persistence := await provide.forget():
            await persistence.close()

    return _router(provide, prefix, lifespan=lifespan)


def _router(provide: recording.Provide, prefix: str, **options: Any) -> APIRouter:
    router = APIRouter(
        prefix=prefix, tags=["feed"], route_class=HarkenRoute, responses=RESPONSES, **options
    )
    batches = APIRouter(route_class=BatchRoute)
    Persistence = Annotated[FeedFeedbackPersistence, Depends(provide)]  # noqa: N806 — a type

    @router.post(
        recording.PATH,
        response_model=Recording,
        openapi_extra=RECORDING_BODY,
        responses={409: {"description": "This id was recorded with other content."}},
    )
    async def record(request: Request, persistence: Persistence) -> Response:
        """Record what somebody did with a K-Block; the answer comes after the commit."""
        return await recording.record(request, persistence)

    @batches.post("/feedback/batch")
    async def record_batch(batch: Batch, persistence: Persistence) -> BatchRecording:
        """Record many interactions at once; a bad event rejects itself and no other."""
        result = await persistence.record_batch(batch.events)
        return BatchRecording.model_validate(
            {
                "accepted": result.accepted,
                "duplicates": result.duplicates,
                "rejected": [
                    {"index": each.index, "error": str(each.error)} for each in result.rejected
                ],
            }
        )

    @router.get("/analytics")
    async def analytics(
        persistence: Persistence,
        limit: Annotated[int, Query(ge=1, le=MOST_KBLOCKS)] = 20,
        min_interactions: Annotated[int, Query(ge=0, le=2**31 - 1)] = 1,
    ) -> Analytics:
        """Say what people did with the feed: the most engaged K-Blocks, totals, the last day."""
        return Analytics.model_validate(await persistence.get_analytics(limit, min_interactions))

    @router.get("/analytics/timeseries")
    async def timeseries(
        persistence: Persistence,
        bucket: Unit = "hour",
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> Timeseries:
        """Count by minute, hour or day (UTC); without times, the last 24 hours."""
        return Timeseries.model_validate(await persistence.get_timeseries(bucket, since, until))

    router.include_router(batches)
    return router
