"""The route `/xrpc/app.bsky.feed.sendInteractions`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from harken.domain.fields import Identifier
from harken.errors import HarkenError, InvalidInput, NotFound
from harken.protocols.api.bluesky.mapping import BlueskyInteraction, event_of
from harken.protocols.api.callers import User, bound_events
from harken.protocols.api.recording import Provide, ProvideService
from harken.protocols.api.schemas import BatchRecording, Listed, Member
from harken.protocols.http.errors import BODY_RESPONSES, RESPONSES, described, rejections
from harken.protocols.http.routing import BatchRoute
from harken.services.access.rights import Caller
from harken.services.record.persistence import FeedFeedbackPersistence

PATH = "/xrpc/app.bsky.feed.sendInteractions"
OFF = described(status_404="HARKEN_BLUESKY is off.")


class Interactions(BaseModel):
    """What Bluesky's clients send; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    interactions: Annotated[list[Annotated[BlueskyInteraction, Member()]], *Listed]


def routes(
    provide: Provide, provide_service: ProvideService, who: User, *, is_on: bool
) -> APIRouter:
    """Return the router of the route, which answers 404 unless `is_on`."""
    router = APIRouter(tags=["feedback"], route_class=BatchRoute, responses=RESPONSES)
    Persistence = Annotated[FeedFeedbackPersistence, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post(PATH, summary="Record interactions of Bluesky", responses=BODY_RESPONSES | OFF)
    async def send_interactions(
        body: Interactions,
        persistence: Persistence,
        caller: Who,
        user_id: Identifier | None = None,
    ) -> BatchRecording:
        """Record interactions; one that is refused does not affect the others."""
        if not is_on:
            raise NotFound("this route is off: set HARKEN_BLUESKY=true")
        events: list[Any] = [_event(each, caller.acts_as(user_id)) for each in body.interactions]
        if caller.is_bound:
            checked = iter(await bound_events(_good(events), caller, await provide_service()))
            events = [each if isinstance(each, HarkenError) else next(checked) for each in events]
        places = [at for at, each in enumerate(events) if not isinstance(each, HarkenError)]
        result = await persistence.record_batch(_good(events))
        refused = [(at, each) for at, each in enumerate(events) if isinstance(each, HarkenError)]
        refused += [(places[each.index], each.error) for each in result.rejected]
        return BatchRecording.model_validate(
            {
                "accepted": result.accepted,
                "duplicates": result.duplicates,
                "rejected": rejections(sorted((at, str(error)) for at, error in refused)),
            }
        )

    return router


def _event(given: Any, user_id: str) -> dict[str, Any] | HarkenError:
    try:
        return event_of(given, user_id)
    except InvalidInput as error:
        return error


def _good(events: list[Any]) -> list[Any]:
    return [each for each in events if not isinstance(each, HarkenError)]
