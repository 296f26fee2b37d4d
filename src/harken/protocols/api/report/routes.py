"""The routes of the report, which answers whether the feed is getting better."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic_core import to_json

from harken.protocols import presentation
from harken.protocols.api.kblocks import Provide
from harken.protocols.api.report.shapes import ReportShape
from harken.protocols.http.errors import described
from harken.protocols.http.routing import HarkenRoute
from harken.protocols.report_file.document import MEDIA_TYPE, report_document
from harken.services.feed.service import FeedService
from harken.services.registry.reporting import MOST_WEEKS

MakeReport = Callable[[FeedService], Awaitable[None]]

MISSING = described(status_404="There is no report yet.")
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"text/html": {}}}
}


def routes(provide: Provide, make: MakeReport | None) -> APIRouter:
    """Return the router of `/report`; `make` makes a report of the database, if it is given."""
    router = APIRouter(prefix="/report", tags=["models"], route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="Get the latest report", response_model=ReportShape, responses=MISSING)
    async def latest(
        service: Service,
        weeks: Annotated[
            int | None,
            Query(ge=1, le=MOST_WEEKS, description="Return only this many weeks, the latest ones."),
        ] = None,
    ) -> Response:
        """Return the latest report of `harken report`: whether the feed is getting better."""
        content = presentation.report(await service.registry.reports.latest(), weeks)
        return Response(to_json(content), media_type="application/json")

    @router.get(
        "/html",
        summary="Get the latest report as one HTML file",
        response_class=Response,
        responses=MISSING | FILE,
    )
    async def as_file(service: Service) -> Response:
        """Return the latest report as one file with its plots, which needs no server."""
        found = await service.registry.reports.latest()
        name = f"harken-report-{found.created_at:%Y-%m-%d}.html"
        return Response(
            report_document(presentation.report(found)),
            media_type=MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    if make is None:
        return router

    @router.post(
        "",
        summary="Make a report",
        response_model=ReportShape,
        status_code=HTTPStatus.CREATED,
    )
    async def new(service: Service) -> Response:
        """Make a report as `harken report` does, and return it; with models it may take minutes."""
        await make(service)
        content = presentation.report(await service.registry.reports.latest())
        return Response(to_json(content), HTTPStatus.CREATED, media_type="application/json")

    return router
