"""Routes of all feeds by name: built-in feeds, feeds of the program, and stored feeds."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic_core import to_json

from harken.domain.declarations import Declaration
from harken.domain.feeds import Feed
from harken.protocols import presentation
from harken.protocols.api.callers import User
from harken.protocols.api.feed_pages.answering import page_of
from harken.protocols.api.feed_schemas import DeclaredFeed, DeclaredFeeds, FeedChange, FeedQuery
from harken.protocols.api.kblocks import Provide
from harken.protocols.api.parameters import StoredFeed
from harken.protocols.api.schemas import FeedPageShape
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import Change

PAGE_RESPONSES = described(410)
MISSING = described(status_404="There is no such feed.")
_DECLARATION = Declaration.model_json_schema(ref_template="#/components/schemas/{model}")
del _DECLARATION["$defs"]  # the models of the answers define these schemas
DECLARATION_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _DECLARATION}}}
}


def _answered(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def add_page(router: APIRouter, feed: Feed, provide: Provide, who: User) -> None:
    """Add the route of a feed whose name is known, such as `/cosmos`."""

    @router.get(
        f"/{feed.name}",
        name=feed.name,
        summary=feed.name.capitalize(),
        description=f"{feed.description.capitalize()}.",
        response_model=FeedPageShape,
        responses=PAGE_RESPONSES,
    )
    async def page(
        service: Annotated[FeedService, Depends(provide)],
        caller: Annotated[Caller, Depends(who)],
        query: Annotated[FeedQuery, Query()],
    ) -> Response:
        return _answered(await page_of(feed.name, query, service, caller))


def feed_routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/feed/feeds`."""
    router = APIRouter(prefix="/feeds", route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get("", summary="List feeds", response_model=DeclaredFeeds)
    async def listed(service: Service) -> Response:
        """Return all feeds with their declarations."""
        found = [presentation.feed(each) for each in await service.feeds.listed()]
        return Response(to_json({"feeds": found}), media_type="application/json")

    @router.get(
        "/{feed_id}/declaration",
        summary="Get the declaration of a feed",
        response_model=DeclaredFeed,
        responses=MISSING,
    )
    async def declaration(feed_id: str, service: Service) -> Response:
        """Return the declaration of a feed."""
        found = presentation.feed(await service.feeds.get(feed_id))
        return Response(to_json(found), media_type="application/json")

    @router.get(
        "/{feed_id}",
        summary="Get a page of any feed",
        response_model=FeedPageShape,
        responses=PAGE_RESPONSES | MISSING,
    )
    async def page(
        feed_id: str, service: Service, caller: Who, query: Annotated[FeedQuery, Query()]
    ) -> Response:
        """Return a page of any feed."""
        return _answered(await page_of(feed_id, query, service, caller))

    @router.put(
        "/{feed_id}",
        summary="Store or replace a feed",
        response_model=FeedChange,
        openapi_extra=DECLARATION_BODY,
        responses=BODY_RESPONSES
        | {201: {"description": "The feed was added.", "model": FeedChange}},
    )
    async def put(
        feed_id: StoredFeed, service: Service, fields: Annotated[Any, Body()]
    ) -> Response:
        """Store a feed or replace its declaration; it applies from the next first page on."""
        change = await service.feeds.put(feed_id, fields)
        status = 201 if change is Change.ADDED else 200
        return JSONResponse({"id": feed_id, "status": change.value}, status)

    @router.delete("/{feed_id}", summary="Delete a stored feed", status_code=204, responses=MISSING)
    async def delete(feed_id: StoredFeed, service: Service) -> None:
        """Delete a stored feed; cursors of its earlier pages stay valid."""
        await service.feeds.delete(feed_id)

    return router
