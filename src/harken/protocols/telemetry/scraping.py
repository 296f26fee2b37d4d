"""The route that Prometheus scrapes."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from harken.errors import HarkenError, NotFound
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import described
from harken.protocols.http.routing import LenientRoute
from harken.protocols.http.security import METRICS
from harken.protocols.telemetry.metrics import CONTENT_TYPE, Figures, ServiceMetrics
from harken.protocols.telemetry.sampling import figures_of
from harken.services.feed.service import FeedService


def routes(metrics: ServiceMetrics | None, provide: Provide) -> APIRouter:
    """Return the router of `GET /metrics`; without metrics it is answered with a 404."""
    router = APIRouter(tags=["service"], route_class=LenientRoute)

    @router.get(
        METRICS,
        summary="Read the metrics of the server",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **described(404, 503, status_404="Metrics are off."),
        },
    )
    async def scrape() -> Response:
        """Return metrics as text, for Prometheus; the database's figures only if it answers."""
        if metrics is None:
            raise NotFound("Metrics are off; HARKEN_METRICS=true turns them on.")
        return Response(metrics.text(await _figures(await provide())), media_type=CONTENT_TYPE)

    return router


async def _figures(service: FeedService) -> Figures:
    figures = figures_of(service)
    try:
        return figures._replace(
            interactions=await service.record.counts(),
            model_age_seconds=await _model_age(service),
        )
    except HarkenError:
        return figures  # `harken_database_up` says it


async def _model_age(service: FeedService) -> float | None:
    served = await service.registry.models.in_service()
    if served is None:
        return None
    trained = (await service.registry.models.get(served)).created_at
    return (datetime.now(UTC) - trained).total_seconds()
