"""The routes of models of the learned ranking."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic_core import to_json

from harken.domain.fields import KeptIdentifier
from harken.protocols import presentation
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import described
from harken.protocols.http.routing import HarkenRoute
from harken.services.feed.service import FeedService

MISSING = described(status_404="There is no such model.")
REFUSED = MISSING | described(
    status_409="The model is of another version, or was changed since it was written."
)


class ModelShape(BaseModel):
    """A model, without its trees."""

    id: str
    kind: str
    created_at: datetime
    code_version: str = Field(description="Of the program that trained it.")
    data: dict[str, Any] = Field(description="Which part of the log it saw, and how much.")
    features: dict[str, Any]
    metrics: dict[str, Any] = Field(description="As `harken evaluate replay --json` has them.")
    details: dict[str, Any] = Field(description="How it was trained.")
    promoted_at: datetime | None = Field(description="When it was put in service last.")
    in_service: bool
    problem: str | None = Field(description="Why it cannot be read, if so; nothing else is told.")


class ModelsShape(BaseModel):
    """The latest models."""

    in_service: str | None = Field(description="The id of the model in service.")
    models: list[ModelShape]


class RollbackShape(BaseModel):
    """What a rollback did."""

    before: str
    in_service: str | None


class ModelRoute(HarkenRoute):
    """A route of models, whose ids are made here."""

    other_names = frozenset({"rollback"})


def routes(provide: Provide) -> APIRouter:
    """Make the routes under `/models`."""
    router = APIRouter(prefix="/models", tags=["models"], route_class=ModelRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="List models", response_model=ModelsShape)
    async def listed(service: Service) -> Response:
        """List the models, the latest first."""
        return _json(presentation.models(await service.registry.models.listed()))

    @router.post(
        "/rollback",
        summary="Take the latest promotion back",
        response_model=RollbackShape,
        responses=MISSING,
    )
    async def rollback(service: Service) -> Response:
        """Take the latest promotion back: the model before it serves again, or none."""
        before, now = await service.registry.models.rollback()
        return JSONResponse({"before": before, "in_service": now})

    @router.get(
        "/{model_id}",
        summary="What a model was trained on",
        response_model=ModelShape,
        responses=MISSING,
    )
    async def get(model_id: KeptIdentifier, service: Service) -> Response:
        """Return what a model was trained on, and what it was measured to do."""
        return _json(presentation.model(await service.registry.models.get(model_id)))

    @router.post(
        "/{model_id}/promote",
        summary="Put a model in service",
        response_model=ModelShape,
        responses=REFUSED,
    )
    async def promote(model_id: KeptIdentifier, service: Service) -> Response:
        """Put a model in service, whatever it was measured to do."""
        await service.registry.models.promote(model_id)
        return _json(presentation.model(await service.registry.models.get(model_id)))

    return router


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
