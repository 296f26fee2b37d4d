"""The dashboard at `/dashboard`: scripts fill the page from the API and refresh it."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from harken.errors import NotFound
from harken.protocols import presentation
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages.files import VendorFile
from harken.protocols.pages.page import FragmentRenderer, Page, Values
from harken.services.providers import get_feed_service
from harken.services.record.figures.impressions import LEAST_SAMPLE
from harken.services.record.figures.shown_items import MOST_SLATES
from harken.services.record.window_analytics import MOST_EVENTS

CHARTS = VendorFile("chart.js", "chartkick", "chartkick/django/static/chartkick/Chart.bundle.js")


async def _values(_request: Request) -> Values:
    return {
        "most_events": MOST_EVENTS,
        "most_slates": MOST_SLATES,
        "least_sample": LEAST_SAMPLE,
    }


def _routes(_renderer: FragmentRenderer) -> APIRouter:
    router = APIRouter(prefix="/dashboard", route_class=LenientRoute)

    @router.get("/report")
    async def report() -> Response:
        """Return the latest report, or null: a missing report is not an error on the dashboard."""
        service = await get_feed_service()
        try:
            content = presentation.report(await service.registry.reports.latest(), None)
        except NotFound:
            content = None
        return Response(to_json(content), media_type="application/json")

    return router


PAGE = Page(
    path="/dashboard",
    title="Dashboard",
    label="Dashboard",
    template="dashboard.html",
    values=_values,
    routes=_routes,
    vendor=(CHARTS,),
)
