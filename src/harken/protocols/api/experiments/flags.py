"""Flags by the OpenFeature Remote Evaluation Protocol (OFREP 0.3.0).

Every OpenFeature provider for this protocol evaluates the running experiments, in any language. The
targeting key of the context is the reader's id. With `"guest": true` in the context, it is a
session of a guest. Testers name an arm in it: `"arm": "<experiment>:<arm>"`.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from harken.domain.feedback import GUEST
from harken.domain.fields import is_identifier
from harken.errors import Forbidden, InvalidInput, NotFound
from harken.protocols.api.callers import User
from harken.protocols.api.experiments import presentation
from harken.protocols.api.experiments.shapes import FlagProblem, FlagShape, FlagsShape
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.errors import BODY_RESPONSES, RESPONSES
from harken.protocols.http.routing import HarkenRoute
from harken.services.access.rights import Caller
from harken.services.experiments.definitions import Experiment
from harken.services.experiments.flags import find_running
from harken.services.experiments.units import Unit
from harken.services.feed.service import FeedService

PREFIX = "/ofrep/v1"
_CONTEXT = {
    "type": "object",
    "properties": {
        "context": {
            "type": "object",
            "properties": {
                "targetingKey": {"type": "string", "minLength": 1, "maxLength": 64},
                "guest": {"type": "boolean"},
                "arm": {"type": "string", "pattern": ":"},
            },
            "required": ["targetingKey"],
        }
    },
    "required": ["context"],
}
CONTEXT_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _CONTEXT}}}
}
BAD_CONTEXT: dict[int | str, dict[str, Any]] = {
    400: {"description": "The context cannot be used.", "model": FlagProblem}
}
NO_FLAG: dict[int | str, dict[str, Any]] = {
    404: {"description": "No experiment of this id runs.", "model": FlagProblem}
}
NOT_CHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The flags are those of the given ETag."}
}


class Target(NamedTuple):
    """Whom flags are evaluated for, and the arm that a tester names."""

    id: str
    is_guest: bool
    arm: str | None

    @property
    def unit(self) -> Unit:
        """The reader, or the session of a guest."""
        return Unit(GUEST, self.id) if self.is_guest else Unit(self.id)


class _BadContext(Exception):
    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


def routes(provide: Provide, who: User) -> APIRouter:
    """Return the router of `/ofrep/v1`."""
    router = APIRouter(prefix=PREFIX, tags=["flags"], route_class=HarkenRoute, responses=RESPONSES)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    @router.post(
        "/evaluate/flags/{key}",
        summary="Evaluate a flag",
        response_model=FlagShape,
        openapi_extra=CONTEXT_BODY,
        responses=BODY_RESPONSES | BAD_CONTEXT | NO_FLAG,
    )
    async def one(key: str, request: Request, service: Service, caller: Who) -> Response:
        """Return the value of a running experiment for a unit; only testers are marked."""
        try:
            target = await _target(request, caller)
            found = find_running(await service.experiments.running.now(), key)
            [flag] = await _evaluated(service, [found], target)
        except _BadContext as error:
            return _problem(400, error.code, str(error), key)
        except NotFound as error:
            return _problem(404, "FLAG_NOT_FOUND", str(error), key)
        return _answer(flag)

    @router.post(
        "/evaluate/flags",
        summary="Evaluate all flags",
        response_model=FlagsShape,
        openapi_extra=CONTEXT_BODY,
        responses=BODY_RESPONSES | BAD_CONTEXT | NOT_CHANGED,
    )
    async def all_(
        request: Request,
        service: Service,
        caller: Who,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Return the values of all running experiments for a unit, with an ETag."""
        try:
            target = await _target(request, caller)
            running = await service.experiments.running.now()
            content = {"flags": await _evaluated(service, running, target)}
        except _BadContext as error:
            return _problem(400, error.code, str(error))
        tag = f'"{hashlib.sha256(to_json(content)).hexdigest()[:32]}"'
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers={"ETag": tag})
        return _answer(content, headers={"ETag": tag})

    return router


async def _evaluated(
    service: FeedService, running: Sequence[Experiment], target: Target
) -> list[dict[str, Any]]:
    """Return flags for a unit. Raises _BadContext for an arm that cannot be used."""
    try:
        found = [
            await service.experiments.evaluate(each, target.unit, target.arm) for each in running
        ]
    except InvalidInput as error:
        problem = error.problems[0]
        raise _BadContext(
            "INVALID_CONTEXT", f"context.{problem.field}: {problem.message}"
        ) from None
    return [presentation.evaluation(each) for each in found]


async def _target(request: Request, caller: Caller) -> Target:
    """Return the unit that a request names. Raises _BadContext or Forbidden."""
    try:
        body = await request.json()
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise _BadContext("PARSE_ERROR", str(error.detail)) from None
    context = body.get("context") if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise _BadContext("INVALID_CONTEXT", "context: must be a JSON object")
    unit = context.get("targetingKey")
    if unit is None or unit == "":
        raise _BadContext("TARGETING_KEY_MISSING", "context.targetingKey: is required")
    if not isinstance(unit, str) or not is_identifier(unit):
        raise _BadContext(
            "INVALID_CONTEXT", "context.targetingKey: must be 1 to 64 characters of text"
        )
    is_guest = context.get("guest", False)
    if not isinstance(is_guest, bool):
        raise _BadContext("INVALID_CONTEXT", "context.guest: must be true or false")
    return _allowed(Target(unit, is_guest, _arm(context)), caller)


def _arm(context: dict[str, Any]) -> str | None:
    """Return the arm that a tester names. Raises _BadContext for what is none."""
    if "arm" not in context:
        return None
    arm = context["arm"]
    if not isinstance(arm, str):
        raise _BadContext("INVALID_CONTEXT", "context.arm: must be text")
    if ":" not in arm:
        what = "must be the id of an experiment, a colon and an arm"
        raise _BadContext("INVALID_CONTEXT", f"context.arm: {what}")
    return arm


def _allowed(target: Target, caller: Caller) -> Target:
    """Return the target that a caller may evaluate for. Raises Forbidden."""
    if not caller.is_bound:
        return target
    if target.arm is not None:
        raise Forbidden("context.arm: is for testers with a secret key")
    if caller.user_id == GUEST:
        return target._replace(is_guest=True)
    if target.id != caller.user_id or target.is_guest:
        raise Forbidden("context.targetingKey: you may evaluate flags for yourself only")
    return target


def _answer(content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(content), media_type="application/json", headers=headers)


def _problem(status: int, code: str, details: str, key: str | None = None) -> Response:
    content = {"errorCode": code, "errorDetails": details}
    if key is not None:
        content = {"key": key} | content
    return Response(to_json(content), status, media_type="application/json")
