"""Routes of the models of the learned ranking."""

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
    status_409="The model was made by an incompatible version, or its content was changed."
)


class ModelShape(BaseModel):
    """A model, without its trees."""

    id: str
    kind: str
    created_at: datetime
    code_version: str = Field(description="The version of Harken that trained it.")
    data: dict[str, Any] = Field(
        description="The part of the log that it was trained on, and the number of examples."
    )
    features: dict[str, Any]
    metrics: dict[str, Any] = Field(description="In the form of `harken evaluate replay --json`.")
    details: dict[str, Any] = Field(description="The settings and results of training.")
    promoted_at: datetime | None = Field(description="When it was last put in service.")
    in_service: bool
    erasures: int = Field(
        description="How many erasures removed events that it may have been trained with."
    )
    quarantines: int = Field(
        description="How many quarantines set events aside that it may have been trained with."
    )
    problem: str | None = Field(
        description="Why it cannot be read; the other fields are empty then."
    )


class ModelsShape(BaseModel):
    """The latest models."""

    in_service: str | None = Field(description="The id of the model in service.")
    models: list[ModelShape]


class RollbackShape(BaseModel):
    """The model before a rollback, and the one in service after it."""

    before: str
    in_service: str | None


class ModelRoute(HarkenRoute):
    """A route of `/models`; `rollback` is not a model id."""

    other_names = frozenset({"rollback"})


def routes(provide: Provide) -> APIRouter:
    """Return the router of `/models`."""
    router = APIRouter(prefix="/models", tags=["models"], route_class=ModelRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="List models", response_model=ModelsShape)
    async def listed(service: Service) -> Response:
        """Return the models, latest first."""
        return _json(presentation.models(await service.registry.models.listed()))

    @router.post(
        "/rollback",
        summary="Undo the latest promotion",
        response_model=RollbackShape,
        responses=MISSING,
    )
    async def rollback(service: Service) -> Response:
        """Undo the latest promotion: the model before it is in service again, or none."""
        before, now = await service.registry.models.rollback()
        return JSONResponse({"before": before, "in_service": now})

    @router.get(
        "/{model_id}",
        summary="Get a model",
        response_model=ModelShape,
        responses=MISSING,
    )
    async def get(model_id: KeptIdentifier, service: Service) -> Response:
        """Return the training data and the measured metrics of a model."""
        return _json(presentation.model(await service.registry.models.get(model_id)))

    @router.post(
        "/{model_id}/promote",
        summary="Put a model in service",
        response_model=ModelShape,
        responses=REFUSED,
    )
    async def promote(model_id: KeptIdentifier, service: Service) -> Response:
        """Put a model in service, even if its metrics are not better."""
        await service.registry.models.promote(model_id)
        return _json(presentation.model(await service.registry.models.get(model_id)))

    return router


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
