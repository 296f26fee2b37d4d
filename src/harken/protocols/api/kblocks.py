"""Routes of K-Blocks and of users."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic_core import to_json

from harken.domain.fields import AddressableId, KeptIdentifier
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import InvalidInput, NotFound, Problem
from harken.event_loop import Interruptible
from harken.protocols import presentation
from harken.protocols.api.callers import User as WhoAsks
from harken.protocols.api.feed_schemas import InterestsShape
from harken.protocols.api.parameters import KeptReader, Reader
from harken.protocols.api.schemas import (
    KBlockBatch,
    KBlockBatchChange,
    KBlockChange,
    KBlockShape,
    SimilarQuery,
    SimilarShape,
    User,
    UserChange,
)
from harken.protocols.http.errors import BODY_RESPONSES, described, rejections
from harken.protocols.http.routing import BatchRoute, HarkenRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import Change

Provide = Callable[[], Awaitable[FeedService]]

_KBLOCK = KBlock.model_json_schema(ref_template="#/components/schemas/{model}")
del _KBLOCK["$defs"]  # the model of the batch defines these schemas
# The id is in the path; the body may repeat it.
_KBLOCK["properties"].pop("id")
_KBLOCK["required"].remove("id")
KBLOCK_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _KBLOCK}}}
}

PREFERENCES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Preferences"}}},
    }
}


MISSING = described(status_404="There is no such K-Block.")
ERASED = described(status_410="The reader was erased.")


class KBlockRoute(BatchRoute):
    """A route of `/kblocks`; the last steps in `parts` are not part of an id."""

    parts = frozenset({"similar", "comments", "erasure"})


class UserRoute(HarkenRoute):
    """A route of `/users`; the last steps in `parts` are not part of an id."""

    parts = frozenset({"preferences", "profile", "export", "erasure"})


def routes(provide: Provide, who: WhoAsks) -> APIRouter:
    """Return the router of `/kblocks`."""
    router = APIRouter(prefix="/kblocks", tags=["kblocks"], route_class=KBlockRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post("/batch", summary="Add or replace many K-Blocks", responses=BODY_RESPONSES)
    async def put_batch(batch: KBlockBatch, service: Service) -> KBlockBatchChange:
        """Add or replace many K-Blocks; an invalid one is rejected, and the others are stored."""
        good, rejected = await _validated(batch.kblocks)
        changes = await service.kblocks.put(good)
        counts = {change.value: changes.count(change) for change in Change}
        return KBlockBatchChange.model_validate({**counts, "rejected": rejections(rejected)})

    @router.put(
        "/{kblock_id:id}",
        summary="Add or replace a K-Block",
        response_model=KBlockChange,
        openapi_extra=KBLOCK_BODY,
        responses=BODY_RESPONSES
        | {201: {"description": "The K-Block was added.", "model": KBlockChange}},
    )
    async def put(
        kblock_id: AddressableId, service: Service, fields: Annotated[Any, Body()]
    ) -> Response:
        """Add or replace a K-Block; the answer is sent after the commit."""
        [change] = await service.kblocks.put([_kblock(fields, kblock_id)])
        status = 201 if change is Change.ADDED else 200
        return JSONResponse({"id": kblock_id, "status": change.value}, status)

    @router.get(
        "/{kblock_id:id}/similar",
        summary="List similar K-Blocks",
        response_model=SimilarShape,
        responses=MISSING | ERASED,
    )
    async def similar(
        kblock_id: KeptIdentifier,
        service: Service,
        caller: Who,
        query: Annotated[SimilarQuery, Query()],
    ) -> Response:
        """Return the most similar K-Blocks, explained; their slate is committed first."""
        found = await service.similar(kblock_id, caller.acts_as(query.user_id), query.limit)
        return Response(to_json(presentation.similar(found)), media_type="application/json")

    @router.get(
        "/{kblock_id:id}", summary="Read a K-Block", response_model=KBlockShape, responses=MISSING
    )
    async def get(kblock_id: KeptIdentifier, service: Service) -> Response:
        """Return a K-Block; `contradicts` has its own contradictions and those readers marked."""
        stored = await service.kblocks.get(kblock_id)
        if stored is None:
            raise NotFound(f"there is no K-Block {kblock_id!r}")
        found = presentation.stored_kblock(stored)
        return Response(to_json(found), media_type="application/json")

    @router.delete(
        "/{kblock_id:id}", summary="Delete a K-Block", status_code=204, responses=MISSING
    )
    async def delete(kblock_id: KeptIdentifier, service: Service) -> None:
        """Delete a K-Block; its events stay in the log."""
        if not await service.kblocks.delete([kblock_id]):
            raise NotFound(f"there is no K-Block {kblock_id!r}")

    return router


def user_routes(provide: Provide) -> APIRouter:
    """Return the router of `/users`."""
    router = APIRouter(prefix="/users", tags=["users"], route_class=UserRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("/{user_id:id}/preferences", summary="Get the preferences of a reader")
    async def preferences(user_id: KeptIdentifier, service: Service) -> Preferences:
        """Return the preferences of a reader; an unknown reader has the defaults."""
        return await service.readers.preferences(user_id)

    @router.put(
        "/{user_id:id}/preferences",
        summary="Set the preferences of a reader",
        response_model=Preferences,
        openapi_extra=PREFERENCES_BODY,
        responses=BODY_RESPONSES | ERASED,
    )
    async def set_preferences(
        user_id: Reader, service: Service, fields: Annotated[Any, Body()]
    ) -> Preferences:
        """Replace all preferences of a reader; a field that is left out gets its default."""
        given = Preferences.parse(fields)
        await service.readers.prefer(user_id, given)
        return given

    @router.get(
        "/{user_id:id}/profile",
        summary="Get the interests of a reader",
        response_model=InterestsShape,
    )
    async def profile(user_id: KeptReader, service: Service) -> Response:
        """Return the interests that Harken inferred from a reader's events, and their use."""
        found = presentation.interests(await service.profile(user_id))
        return Response(to_json(found), media_type="application/json")

    @router.delete(
        "/{user_id:id}/profile", summary="Reset the profile of a reader", responses=ERASED
    )
    async def reset_profile(user_id: KeptReader, service: Service) -> dict[str, bool]:
        """Ignore the events of a reader until now in personal rankings; counts do not change."""
        await service.readers.reset_profile(user_id)
        return {"success": True}

    @router.get("/{user_id:id}", summary="Get the principles of a reader")
    async def get(user_id: KeptIdentifier, service: Service) -> User:
        """Return the principles that a reader declared; an unknown reader has none."""
        return User(id=user_id, principles=await service.readers.principles(user_id))

    @router.put(
        "/{user_id:id}",
        summary="Set the principles of a reader",
        responses=BODY_RESPONSES | ERASED,
    )
    async def put(user_id: Reader, user: UserChange, service: Service) -> User:
        """Replace the principles that a reader declared."""
        await service.readers.declare(user_id, user.principles)
        return User(id=user_id, principles=list(user.principles))

    return router


async def _validated(members: list[Any]) -> tuple[list[KBlock], list[tuple[int, str]]]:
    good: dict[str, KBlock] = {}
    rejected: list[tuple[int, str]] = []
    loop = Interruptible()
    for index, fields in enumerate(members):
        await loop.pause()
        try:
            kblock = _kblock(fields)
        except InvalidInput as error:
            rejected.append((index, str(error)))
            continue
        if kblock.id in good:
            rejected.append((index, "id: an earlier K-Block of the batch has the same id"))
        else:
            good[kblock.id] = kblock
    return list(good.values()), rejected


def _kblock(fields: Any, kblock_id: str | None = None) -> KBlock:
    if not isinstance(fields, dict):
        raise InvalidInput(Problem("body", "must be a K-Block: a JSON object with a title"))
    if kblock_id is None:
        return KBlock.parse(fields)
    if fields.get("id", kblock_id) != kblock_id:
        raise InvalidInput(Problem("id", f"must be {kblock_id!r}, as in the path"))
    return KBlock.parse({**fields, "id": kblock_id})
