"""Routes of experiments: definitions, states, and exposures that no page led to."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from fastapi.responses import JSONResponse

from harken.errors import Forbidden
from harken.protocols.api.callers import User
from harken.protocols.api.experiments import presentation
from harken.protocols.api.experiments.shapes import (
    DEFINITION_SCHEMA,
    DecisionRequest,
    ExperimentId,
    ExperimentShape,
    ExperimentsShape,
    ExposureRequest,
    ExposureShape,
    PowerShape,
    ResultsShape,
    StopRequest,
)
from harken.protocols.api.kblocks import ERASED, Provide
from harken.protocols.http.errors import BODY_RESPONSES, described
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.experiments.definitions import Experiment, State
from harken.services.experiments.flags import find_running
from harken.services.experiments.units import Unit
from harken.services.feed.service import FeedService

Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the latest.")]
MISSING = described(status_404="There is no such experiment.")
_SCHEMA = {name: part for name, part in DEFINITION_SCHEMA.items() if name != "$defs"}
DEFINITION_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}
}


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/experiments`."""
    router = APIRouter(prefix="/experiments", tags=["experiments"], route_class=HarkenRoute)
    _add_readings(router, provide)
    _add_changes(router, provide)
    _add_exposures(router, provide, who)
    return router


def _add_readings(router: APIRouter, provide: Provide) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("", summary="List experiments", response_model=ExperimentsShape)
    async def listed(
        service: Service,
        state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    ) -> Response:
        """Return all versions of all experiments, the latest created first."""
        found = await service.experiments.store.listed()
        chosen = [each for each in found if state is None or each.state is state]
        return JSONResponse({"experiments": [presentation.experiment(each) for each in chosen]})

    @router.get(
        "/{experiment_id}",
        summary="Get an experiment",
        response_model=ExperimentShape,
        responses=MISSING,
    )
    async def one(
        experiment_id: ExperimentId,
        service: Service,
        version: Version = None,
    ) -> Response:
        """Return a version of an experiment, by default the latest."""
        return _shown(await service.experiments.store.get(experiment_id, version))

    @router.get(
        "/{experiment_id}/results",
        summary="Get the results of an experiment",
        response_model=ResultsShape,
        responses=MISSING,
    )
    async def results(
        experiment_id: ExperimentId, service: Service, version: Version = None
    ) -> Response:
        """Return the results as of now; they stay valid however often you ask."""
        return JSONResponse((await service.experiments.results(experiment_id, version)).as_json())

    @router.get(
        "/{experiment_id}/power",
        summary="Get what an experiment can find",
        response_model=PowerShape,
        responses=MISSING,
    )
    async def power(
        experiment_id: ExperimentId,
        service: Service,
        version: Version = None,
        effect: Annotated[
            float | None,
            Query(gt=0, allow_inf_nan=False, description="Return the readers that it needs."),
        ] = None,
    ) -> Response:
        """Return the least effect that the planned readers find, by the log of the latest days."""
        found = await service.experiments.power(experiment_id, version, effect)
        return JSONResponse(found.as_json())


def _add_changes(router: APIRouter, provide: Provide) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.post(
        "",
        summary="Create an experiment, or its next version",
        status_code=201,
        response_model=ExperimentShape,
        openapi_extra=DEFINITION_BODY,
        responses=BODY_RESPONSES,
    )
    async def create(service: Service, fields: Annotated[Any, Body()]) -> Response:
        """Store a definition as a draft. It replaces a draft of the same id."""
        return _shown(await service.experiments.create(fields), 201)

    @router.post(
        "/{experiment_id}/start",
        summary="Start an experiment",
        response_model=ExperimentShape,
        responses=MISSING,
    )
    async def start(experiment_id: ExperimentId, service: Service) -> Response:
        """Start the latest version. What was started does not change and is not started again."""
        return _shown(await service.experiments.start(experiment_id))

    @router.post(
        "/{experiment_id}/stop",
        summary="Stop an experiment",
        response_model=ExperimentShape,
        responses=BODY_RESPONSES | MISSING,
    )
    async def stop(
        experiment_id: ExperimentId, service: Service, why: StopRequest | None = None
    ) -> Response:
        """Stop the running version; the windows of readers that are in it still complete."""
        reason = None if why is None else why.reason
        return _shown(await service.experiments.stop(experiment_id, reason))

    @router.post(
        "/{experiment_id}/decide",
        summary="Decide an experiment",
        response_model=ExperimentShape,
        responses=BODY_RESPONSES | MISSING,
    )
    async def decide(
        experiment_id: ExperimentId, service: Service, decision: DecisionRequest
    ) -> Response:
        """Keep which arm was chosen, after the experiment was stopped."""
        found = await service.experiments.decide(experiment_id, decision.arm, decision.note)
        return _shown(found)


def _add_exposures(router: APIRouter, provide: Provide, who: User) -> None:
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post(
        "/exposures",
        summary="Record that a flag was used",
        response_model=ExposureShape,
        responses=BODY_RESPONSES | ERASED | MISSING,
    )
    async def expose(given: ExposureRequest, service: Service, caller: Who) -> ExposureShape:
        """Record the first time that a unit used the value of a flag; later ones change nothing."""
        if given.forced and caller.is_bound:
            raise Forbidden("forced: is for testers with a secret key")
        unit = Unit(caller.acts_as(given.user_id), given.session_id)
        running = await service.experiments.running.now()
        experiment = find_running(running, given.experiment)
        arm = await service.experiments.expose_to_flag(
            experiment, unit, given.arm, given.allocation, is_forced=given.forced
        )
        return ExposureShape(
            success=True, experiment=experiment.id, version=experiment.version, arm=arm
        )


def _shown(found: Experiment, status: int = 200) -> Response:
    return JSONResponse(presentation.experiment(found), status)
