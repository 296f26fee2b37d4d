"""Routes of what readers have read and saved."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from harken.domain.feeds import READER_FEEDS
from harken.domain.fields import Identifier, KeptIdentifier
from harken.errors import NotFound
from harken.protocols.api.callers import User
from harken.protocols.api.feeds import add_page
from harken.protocols.api.kblocks import ERASED, Provide
from harken.protocols.api.reading.shapes import Changed, CountsShape, Reads
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import BatchRoute, HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.reading.reading import COUNTED
from harken.services.feed.service import FeedService
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.subjects import check_person

ProvideQuarantine = Callable[[], Awaitable[Quarantine]]

MOST_COUNTED = 32
TAKEN_BACK = Decision(by="its reader", reason="taken back by who said it", confirm=True)
MISSING = described(status_404="There is no such feed.")


def routes(provide: Provide, who: User, acts: ProvideQuarantine) -> APIRouter:
    """Return the router of `/feed/saved`, `/feed/history`, `/feed/reads` and `/feed/unread`."""
    router = APIRouter(prefix="/feed", tags=["reading"], route_class=HarkenRoute)
    batches = APIRouter(route_class=BatchRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    for feed in READER_FEEDS.values():
        add_page(router, feed, provide, who)

    @router.delete(
        "/saved/{kblock_id:id}",
        summary="Take a K-Block from what a reader saved",
        responses=described(status_404="The reader has not saved this K-Block."),
    )
    async def unsave(
        service: Service, kblock_id: KeptIdentifier, user_id: KeptIdentifier
    ) -> dict[str, bool]:
        """Take a K-Block from the feed `saved`; the event of saving stays in the log."""
        if not await service.reading.store.unsave(user_id, kblock_id):
            raise NotFound(f"{user_id} has not saved {kblock_id}")
        return {"success": True}

    @batches.post(
        "/reads", summary="Mark K-Blocks as read or unread", responses=BODY_RESPONSES | ERASED
    )
    async def mark(reads: Reads, service: Service, caller: Who) -> Changed:
        """Mark K-Blocks as read or unread; a mark is no event, and changes no count."""
        user_id, store = caller.acts_as(reads.user_id), service.reading.store
        if reads.is_read:
            changed = await store.mark_read(user_id, reads.kblock_ids, again=reads.is_opened)
        else:
            changed = await store.mark_unread(user_id, reads.kblock_ids)
        return Changed(changed=changed)

    @router.get("/unread", summary="Count what is unread and saved", responses=MISSING)
    async def unread(
        service: Service,
        user_id: Identifier,
        feed: Annotated[
            list[str], Query(max_length=MOST_COUNTED, description="The feeds; default: built-in.")
        ] = list(COUNTED),  # noqa: B006 — FastAPI copies it
    ) -> CountsShape:
        """Return how many K-Blocks of feeds are unread, and how many are saved."""
        return CountsShape.model_validate((await service.reading.counts(user_id, feed))._asdict())

    router.include_router(batches)
    router.include_router(_contradictions(provide, acts))
    return router


def _contradictions(provide: Provide, acts: ProvideQuarantine) -> APIRouter:
    router = APIRouter(route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Acts = Annotated[Quarantine, Depends(acts)]  # noqa: N806 — a type

    @router.delete(
        "/contradictions/{interaction_id:id}",
        summary="Take a contradiction back",
        responses=described(status_404="The log has no such contradiction of this reader."),
    )
    async def take_back(
        service: Service, quarantine: Acts, interaction_id: Identifier, user_id: Identifier
    ) -> dict[str, bool]:
        """Set the event by which a reader reported a contradiction aside: it counts no more."""
        check_person(user_id)
        if not await service.reading.store.said_contradiction(user_id, interaction_id):
            raise NotFound(f"{user_id} has reported no contradiction {interaction_id}")
        await quarantine.add(Target.EVENT, [interaction_id], TAKEN_BACK)
        return {"success": True}

    return router
