"""The route `/feed/feedback/events`: the log of all readers, in the order of commits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field
from pydantic_core import to_json

from harken.domain.fields import Text
from harken.errors import Forbidden
from harken.protocols.api.callers import User
from harken.protocols.api.following.shapes import LoggedEvents, as_json
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.record.log_order.following import LONGEST_CURSOR, LONGEST_WAIT, MOST_EVENTS

RESPONSES = described(
    status_410="The cursor is ahead of the log: the database was restored from an earlier state."
)


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/feed/feedback/events`."""
    router = APIRouter(prefix="/feed", tags=["feedback"], route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.get(
        "/feedback/events",
        summary="Follow the log",
        response_model=LoggedEvents,
        responses=RESPONSES,
    )
    async def events(
        service: Service,
        caller: Who,
        after: Annotated[
            Annotated[Text, Field(max_length=LONGEST_CURSOR)] | None,
            Query(description="The `next` of the page before, or the `cursor` of an event."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
        wait: Annotated[
            int, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait if there are none yet.")
        ] = 0,
    ) -> Response:
        """Return the events after a cursor, in the order in which they were committed."""
        if caller.is_bound:
            raise Forbidden("the log is of all readers: ask without a user token")
        page = await service.followed.page(after, limit, wait)
        return Response(to_json(as_json(page)), media_type="application/json")

    return router
