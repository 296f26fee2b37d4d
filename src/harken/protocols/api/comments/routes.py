"""Routes of comments. A comment is written by recording its event."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from harken.domain.fields import Identifier, KeptIdentifier
from harken.protocols import presentation
from harken.protocols.api.callers import User
from harken.protocols.api.comments.shapes import CommentChange, CommentShape, CommentsShape
from harken.protocols.api.kblocks import KBlockRoute, Provide
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.record.comments.store import MOST_LISTED

MISSING = described(status_404="The reader has written no such comment.")


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/kblocks/{id}/comments` and `/comments/{id}`."""
    router = APIRouter(tags=["comments"])
    listing = APIRouter(prefix="/kblocks", route_class=KBlockRoute)
    changing = APIRouter(prefix="/comments", route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @listing.get("/{kblock_id:id}/comments", summary="List the comments on a K-Block")
    async def comments(
        service: Service,
        kblock_id: KeptIdentifier,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
        offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> CommentsShape:
        """Return comments of all readers, the oldest first; none for an unknown K-Block."""
        found = await service.readers.comments.on(kblock_id, limit, offset)
        return CommentsShape.model_validate(presentation.comments(found))

    @changing.patch(
        "/{comment_id:id}", summary="Edit a comment", responses=BODY_RESPONSES | MISSING
    )
    async def edit(
        service: Service, caller: Who, comment_id: KeptIdentifier, change: CommentChange
    ) -> CommentShape:
        """Replace the text of a reader's own comment; its event keeps the text of before."""
        user_id = caller.acts_as(change.user_id)
        edited = await service.readers.comments.edit(user_id, comment_id, change.text)
        return CommentShape.model_validate(edited._asdict())

    @changing.delete("/{comment_id:id}", summary="Remove a comment", responses=MISSING)
    async def remove(
        service: Service,
        caller: Who,
        comment_id: KeptIdentifier,
        user_id: Identifier | None = None,
    ) -> dict[str, bool]:
        """Remove a reader's own comment; its event stays in the log, and counts as before."""
        await service.readers.comments.remove(caller.acts_as(user_id), comment_id)
        return {"success": True}

    router.include_router(listing)
    router.include_router(changing)
    return router
