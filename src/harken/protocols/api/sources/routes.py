"""The routes of `/sources`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from harken.domain.feedback import GUEST
from harken.domain.fields import Identifier, KeptIdentifier
from harken.protocols import sources_as_json
from harken.protocols.api.callers import User
from harken.protocols.api.kblocks import ERASED, Provide
from harken.protocols.api.sources.shapes import (
    AskedShape,
    OutlineRequest,
    OutlinesShape,
    PreferenceRequest,
    PreferenceShape,
    RefreshedShape,
    SourceShape,
    SourcesShape,
    SubscribedShape,
    SubscriptionRequest,
    TitleRequest,
)
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import BatchRoute, HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.sources.store import MOST_LISTED

OPML = "text/x-opml"
MISSING = described(status_404="There is no such source.")


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/sources`."""
    router = APIRouter(prefix="/sources", tags=["sources"], route_class=HarkenRoute)
    _add_list(router, provide, who)
    router.include_router(_lists_as_opml(provide, who))
    _add_one(router, provide, who)
    return router


def _add_list(router: APIRouter, provide: Provide, who: User) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get("", summary="List sources", response_model=SourcesShape)
    async def listed(
        service: Service,
        caller: Who,
        user_id: Identifier | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
        offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> dict[str, Any]:
        """Return sources by their titles, with what a reader wants of each."""
        found, total = await service.sources.listed(limit, offset)
        wanted = await service.sources.preferences(caller.acts_as(user_id), found)
        every = service.sources.every
        return {
            "sources": [
                sources_as_json.listed(
                    each, wanted[each.source.source_id], for_readers=caller.is_bound
                )
                for each in found
            ],
            "total": total,
            "refresh_every_seconds": None if every is None else every.total_seconds(),
        }

    @router.post(
        "",
        summary="Subscribe to a source",
        response_model=SubscribedShape,
        responses=BODY_RESPONSES,
    )
    async def subscribe(
        asked: SubscriptionRequest, service: Service, caller: Who
    ) -> dict[str, Any]:
        """Subscribe to a feed, or to the one that a page names, and read it."""
        by = _added_by(caller, asked.user_id)
        found = await service.sources.subscribe(asked.url, title=asked.title, by=by)
        return sources_as_json.subscribed(found, for_readers=caller.is_bound)

    @router.post("/refresh", summary="Refresh all sources", response_model=AskedShape)
    async def refresh_all(service: Service) -> dict[str, int]:
        """Have all sources asked in the background, at once."""
        return {"asked": await service.sources.ask_all()}


def _lists_as_opml(provide: Provide, who: User) -> APIRouter:
    router = APIRouter(prefix="/opml", route_class=BatchRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get(
        "",
        summary="Export sources as OPML",
        response_class=Response,
        responses={200: {"content": {OPML: {}}, "description": "An OPML document."}},
    )
    async def export(service: Service) -> Response:
        """Return the list of all sources, for other readers of feeds."""
        headers = {"Content-Disposition": 'attachment; filename="sources.opml"'}
        return Response(await service.sources.export_opml(), media_type=OPML, headers=headers)

    @router.post(
        "", summary="Import an OPML list", response_model=OutlinesShape, responses=BODY_RESPONSES
    )
    async def import_(asked: OutlineRequest, service: Service, caller: Who) -> dict[str, Any]:
        """Subscribe to the feeds of a list; they are read in the background."""
        by = _added_by(caller, asked.user_id)
        return (await service.sources.import_opml(asked.opml.encode(), by=by))._asdict()

    return router


def _added_by(caller: Caller, given: str | None) -> str | None:
    """Return the reader who adds sources; None for a guest. Raises Forbidden."""
    user_id = caller.acts_as(given)
    return None if user_id == GUEST else user_id


def _add_one(router: APIRouter, provide: Provide, who: User) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.patch(
        "/{source_id}",
        summary="Rename a source",
        response_model=SourceShape,
        response_model_exclude_unset=True,
        responses=MISSING | BODY_RESPONSES,
    )
    async def rename(
        source_id: KeptIdentifier, asked: TitleRequest, service: Service, caller: Who
    ) -> dict[str, Any]:
        """Give a source a title; with null, it has that of the feed again."""
        found = await service.sources.rename(source_id, asked.title)
        return sources_as_json.source(found, for_readers=caller.is_bound)

    @router.delete("/{source_id}", summary="Remove a source", responses=MISSING)
    async def remove(source_id: KeptIdentifier, service: Service) -> dict[str, bool]:
        """Remove a source: it is not asked any more. Its items stay."""
        await service.sources.remove(source_id)
        return {"success": True}

    @router.post(
        "/{source_id}/refresh",
        summary="Refresh a source",
        response_model=RefreshedShape,
        responses=MISSING,
    )
    async def refresh(source_id: KeptIdentifier, service: Service, caller: Who) -> dict[str, Any]:
        """Ask a source now, and return what came of it: a failure is no error of this request."""
        found = await service.sources.refresh(source_id)
        return sources_as_json.refreshed(found, for_readers=caller.is_bound)

    @router.put(
        "/{source_id}/preference",
        summary="Mute or weigh a source",
        response_model=PreferenceShape,
        responses=MISSING | BODY_RESPONSES | ERASED,
    )
    async def prefer(
        source_id: KeptIdentifier, asked: PreferenceRequest, service: Service, caller: Who
    ) -> dict[str, Any]:
        """Set what a reader wants of a source."""
        user_id = caller.acts_as(asked.user_id)
        wanted = await service.sources.prefer(
            user_id, source_id, muted=asked.muted, weight=asked.weight
        )
        return wanted._asdict()
