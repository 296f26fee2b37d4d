"""Routes of the models of the learned ranking."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StrictInt
from pydantic_core import to_json

from harken.domain.fields import WHOLE, KeptIdentifier, Part, Text
from harken.protocols import presentation
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import HarkenRoute
from harken.services.experiments.promotion.plans import (
    FEWEST_PLANNED,
    MOST_PLANNED,
    MOST_SHARE,
    MOST_WINDOW_DAYS,
    TrialPlan,
)
from harken.services.feed.service import FeedService
from harken.setting_types import Promotion

MISSING = described(status_404="There is no such model.")
_DEFAULTS = TrialPlan(())
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
    promotion: Promotion = Field(description="What decides whether a new model enters service.")
    models: list[ModelShape]


class RollbackShape(BaseModel):
    """The model before a rollback, and the one in service after it."""

    before: str
    in_service: str | None


class TrialRequest(Part):
    """How a trial is run, if none of this model runs yet."""

    feeds: list[Text] = Field([], description="Default: all feeds that are ordered by a model.")
    share: float = Field(
        _DEFAULTS.share, gt=0, le=MOST_SHARE, description="Of the readers that come into it."
    )
    readers: Annotated[StrictInt, WHOLE] = Field(
        _DEFAULTS.readers, ge=FEWEST_PLANNED, le=MOST_PLANNED, description="How many are planned."
    )
    window_days: Annotated[StrictInt, WHOLE] = Field(
        _DEFAULTS.window_days, ge=1, le=MOST_WINDOW_DAYS,
        description="For how many days a reader is counted.",
    )  # fmt: skip


class TrialStepShape(BaseModel):
    """What a step of a trial found and did."""

    said: list[str] = Field(description="In sentences.")
    promoted: str | None = Field(description="The model that entered service in this step.")
    trial: dict[str, Any] | None = Field(
        description="The trial that runs or has just begun, with its `id`; null if none began."
    )
    readers: dict[str, Any] | None = Field(
        description="Readers that came a day, and the days that a trial takes, before it begins."
    )
    holdbacks: list[dict[str, Any]]


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
        listed = presentation.models(await service.registry.models.listed())
        promotion = Promotion.REPLAY if service.trials.margin is None else Promotion.TRIAL
        return _json(listed | {"promotion": promotion})

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

    _add_trial(router, provide)
    return router


def _add_trial(router: APIRouter, provide: Provide) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.post(
        "/{model_id}/trial",
        summary="Take the next step of a model's trial",
        response_model=TrialStepShape,
        responses=BODY_RESPONSES | REFUSED,
    )
    async def trial(
        model_id: KeptIdentifier, service: Service, wanted: TrialRequest | None = None
    ) -> Response:
        """Begin the trial of a model, or decide it by what its readers did so far.

        The gate is not asked, since it replays the log: `harken models trial` asks it.
        """
        given = wanted or TrialRequest()
        feeds = await service.feeds.ordered_by_model(given.feeds)
        plan = service.trials.plan(feeds)._replace(
            share=given.share, readers=given.readers, window_days=given.window_days,
            asks_gate=False,
        )  # fmt: skip
        step = await service.trials.step(plan, model_id)
        return JSONResponse({"trial": None, "readers": None} | step.as_json())


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
