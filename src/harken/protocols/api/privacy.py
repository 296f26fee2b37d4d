"""Routes that show and erase what is held on a reader, and erase the log of a K-Block."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from pydantic_core import to_json

from harken.domain.fields import KeptIdentifier
from harken.protocols import presentation
from harken.protocols.api.callers import dependency, for_all_readers
from harken.protocols.api.kblocks import KBlockRoute, Provide, UserRoute
from harken.protocols.api.parameters import KeptReader
from harken.protocols.http.errors import RESPONSES, described
from harken.services.feed.service import FeedService
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.record.admission.subjects import Subject

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

Sessions = Callable[[], Awaitable["async_sessionmaker[AsyncSession]"]]

NOBODY = described(status_404="Nothing is held on it, and it was not erased before.")
NOT_ERASED = described(status_404="It is not erased.")
DryRun = Annotated[bool, Query(description="Count what would be removed, and remove nothing.")]


class ReceiptShape(BaseModel):
    """What an erasure removed."""

    receipt_id: str | None = Field(description="Null for a dry run.")
    subject: Subject
    digest: str | None = Field(
        description="The HMAC of the erased id, with a key that only the database has."
    )
    began_at: datetime | None
    finished_at: datetime | None
    removed: dict[str, int] = Field(description="The number of removed rows by kind.")
    models: int = Field(
        description="How many models of the learned ranking may have been trained with the events."
    )
    is_compacted: bool = Field(
        description="Whether the files of the database were rid of the remains of deleted rows."
    )


class ReadmittedShape(BaseModel):
    """The answer when a reader or a K-Block is recorded again."""

    success: bool


class EventShape(BaseModel):
    """An event of the log, with the columns of the table."""

    id: str
    kblock_id: str
    action: str
    created_at: datetime | None


class ExportShape(BaseModel):
    """Everything that is held on a reader; rows have the columns of their tables."""

    user_id: str
    exported_at: datetime
    interests: dict[str, Any] | None = Field(
        description="What was inferred from the events, as in the reader's profile."
    )
    preferences: list[dict[str, Any]]
    dismissals: list[dict[str, Any]]
    reads: list[dict[str, Any]] = Field(description="The K-Blocks that they marked as read.")
    saves: list[dict[str, Any]] = Field(description="The K-Blocks that they saved for later.")
    comments: list[dict[str, Any]] = Field(description="Their comments as they read now.")
    statistics: list[dict[str, Any]] = Field(description="Counts by K-Block.")
    events: list[EventShape] = Field(description="All events, comments included, oldest first.")
    slates: list[dict[str, Any]] = Field(description="The pages that were served.")
    sources: list[dict[str, Any]] = Field(description="The sources that they added.")
    exposures: list[dict[str, Any]] = Field(description="The experiments that they came into.")
    orders: list[dict[str, Any]] = Field(description="Stored orders for the next pages.")
    order_samples: list[dict[str, Any]] = Field(description="Orders that are kept with slates.")


def routes(provide: Provide, sessions: Sessions, prefix: str) -> APIRouter:
    """Return the router of `/users/{id}/export`, `…/erasure` and `/kblocks/{id}/erasure`."""
    router = APIRouter(prefix=prefix, responses=RESPONSES, tags=["privacy"])
    router.include_router(_users(provide, sessions))
    router.include_router(_kblocks(sessions))
    return router


def _users(provide: Provide, sessions: Sessions) -> APIRouter:
    bound = [Depends(dependency(None))]  # a key with a user token is bound to its reader here, too
    router = APIRouter(prefix="/users", route_class=UserRoute, dependencies=bound)
    erasing = _provided(sessions)
    Erasing = Annotated[Erasure, Depends(erasing)]  # noqa: N806 — a type
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get(
        "/{user_id:id}/export",
        summary="Export everything that is held on a reader",
        response_model=ExportShape,
    )
    async def export(user_id: KeptReader, service: Service) -> Response:
        """Return everything that is held on a reader; the answer is sent in pieces."""
        interests = presentation.interests(await service.profile(user_id))
        pieces = PersonalData(await sessions()).export(user_id, interests)
        first = await anext(pieces)  # what is refused is refused before the answer begins
        return StreamingResponse(_all(first, pieces), media_type="application/json")

    @router.post(
        "/{user_id:id}/erasure",
        summary="Erase a reader",
        response_model=ReceiptShape,
        responses=NOBODY,
    )
    async def erase(user_id: KeptReader, erasure: Erasing, dry_run: DryRun = False) -> Response:
        """Erase a reader, and refuse their events from now on; the answer is sent at the end."""
        return await _erased(erasure, Subject.READER, user_id, dry_run=dry_run)

    @router.delete(
        "/{user_id:id}/erasure",
        summary="Readmit an erased reader",
        response_model=ReadmittedShape,
        responses=NOT_ERASED,
    )
    async def readmit(user_id: KeptReader, erasure: Erasing) -> ReadmittedShape:
        """Record the events of an erased reader again, from now on."""
        await erasure.readmit(Subject.READER, user_id)
        return ReadmittedShape(success=True)

    return router


def _kblocks(sessions: Sessions) -> APIRouter:
    unbound = [Depends(for_all_readers)]
    router = APIRouter(prefix="/kblocks", route_class=KBlockRoute, dependencies=unbound)
    erasing = _provided(sessions)
    Erasing = Annotated[Erasure, Depends(erasing)]  # noqa: N806 — a type

    @router.post(
        "/{kblock_id:id}/erasure",
        summary="Erase the log of a K-Block",
        response_model=ReceiptShape,
        responses=NOBODY,
    )
    async def erase(
        kblock_id: KeptIdentifier, erasure: Erasing, dry_run: DryRun = False
    ) -> Response:
        """Erase all events with a K-Block, and refuse further ones; the K-Block itself stays."""
        return await _erased(erasure, Subject.KBLOCK, kblock_id, dry_run=dry_run)

    @router.delete(
        "/{kblock_id:id}/erasure",
        summary="Record events with a K-Block again",
        response_model=ReadmittedShape,
        responses=NOT_ERASED,
    )
    async def readmit(kblock_id: KeptIdentifier, erasure: Erasing) -> ReadmittedShape:
        """Record events with a K-Block again, from now on."""
        await erasure.readmit(Subject.KBLOCK, kblock_id)
        return ReadmittedShape(success=True)

    return router


def _provided(sessions: Sessions) -> Callable[[], Awaitable[Erasure]]:
    async def provide() -> Erasure:
        return Erasure(await sessions())

    return provide


async def _erased(erasure: Erasure, subject: Subject, own_id: str, *, dry_run: bool) -> Response:
    work = erasure.preview if dry_run else erasure.erase
    content = presentation.receipt(await work(subject, own_id))
    return Response(to_json(content), media_type="application/json")


async def _all(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece
