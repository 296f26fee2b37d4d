"""The route class of Harken's routers, which works in anybody's application."""

from collections.abc import Callable, Coroutine
from inspect import isclass
from typing import Any, ClassVar

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from harken.errors import HarkenError, InvalidInput, Problem
from harken.protocols.http.addresses import check_text, last_step
from harken.protocols.http.errors import NOT_STORED, answer, problem
from harken.protocols.http.json_body import BATCH_BODY_LIMIT, BODY_LIMIT, JSONRequest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class HarkenRoute(APIRoute):
    """Reads bodies of at most `body_limit` bytes strictly, and answers errors as problem documents.

    Both are done here and not in middleware or the application's exception handlers, since a
    router that is mounted into somebody else's application brings neither along. (The limit that
    FastAPI knows, `max_body_size`, answers in plain text.)

    HEAD is answered wherever GET is, OPTIONS everywhere; another method that is not known at a path
    is a 405 that names all those that are. A parameter that is not known is refused.

    Behind an id, `parts` are what can be asked of it: `/kblocks/x/similar` is something of x, and
    `/kblocks/x%2Fsimilar` the K-Block of that id. `other_names` are no ids, but mean something else
    in their place.
    """

    body_limit = BODY_LIMIT
    refuses_unknown_parameters = True
    parts: ClassVar[frozenset[str]] = frozenset()
    other_names: ClassVar[frozenset[str]] = frozenset()

    def get_route_handler(self) -> Handler:
        """Wrap the handler."""
        handle = super().get_route_handler()
        known = self._parameters() if self.refuses_unknown_parameters else None

        async def handler(request: Request) -> Response:
            try:
                if known is not None:
                    check_text(request.scope)
                    _check_parameters(request, known)
                response = await handle(JSONRequest(request, self.body_limit))
            except (HarkenError, RequestValidationError, HTTPException) as error:
                return answer(error)
            for name, value in NOT_STORED.items():
                response.headers.setdefault(name, value)
            return response

        return handler

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route, or would be by another method."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        match, found = super().matches({**scope, "method": "GET"} if is_head else scope)
        if match is not Match.NONE and not self._is_meant(scope, found["path_params"]):
            return Match.NONE, {}
        return match, found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path."""
        methods = self.methods or set()
        if scope["method"] in methods:
            await super().handle(scope, receive, send)
        elif scope["method"] == "HEAD" and "GET" in methods:
            await super().handle({**scope, "method": "GET"}, receive, without_body(send))
        else:
            await _other_method(scope, self)(scope, receive, send)

    def _is_meant(self, scope: Scope, parameters: dict[str, Any]) -> bool:
        if not self.other_names.isdisjoint(parameters.values()):
            return False
        before, is_behind_id, part = self.path.partition(":id}/")
        if is_behind_id:
            return last_step(scope) == part
        if not before.endswith(":id}") or not self.parts:
            return True
        step = last_step(scope)
        return step not in self.parts or step in parameters.values()

    def _parameters(self) -> list[str]:
        names: list[str] = []
        for each in self.dependant.query_params:
            kind = each.field_info.annotation
            if isclass(kind) and issubclass(kind, BaseModel):
                names += kind.model_fields
            else:
                names.append(each.alias)
        return names


class BatchRoute(HarkenRoute):
    """The same for bodies that hold many things."""

    body_limit = BATCH_BODY_LIMIT


class LenientRoute(HarkenRoute):
    """The same for what people and probes ask, with parameters of their own."""

    refuses_unknown_parameters = False


def _check_parameters(request: Request, known: list[str]) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        first, *others = unknown
        there_are = f"known are {', '.join(known)}" if known else "there are none here"
        raise InvalidInput(
            Problem(first, f"is not a known parameter; {there_are}"),
            *(Problem(name, "is not a known parameter") for name in others),
        )


def _other_method(scope: Scope, route: HarkenRoute) -> Response:
    """Answer a method that a path has no route for: with those that it has."""
    router = getattr(scope.get("app"), "router", None)
    routes = [route] if router is None else router.routes
    found = [
        method
        for method in METHODS
        if any(each.matches({**scope, "method": method})[0] is Match.FULL for each in routes)
    ]
    allowed = {"Allow": ", ".join([*found, "OPTIONS"])}
    if scope["method"] == "OPTIONS":
        return Response(status_code=204, headers=allowed | NOT_STORED)
    return problem(
        405, f"{scope['method']} means nothing here; there is {', '.join(found)}", headers=allowed
    )


def without_body(send: Send) -> Send:
    """Send an answer's headers only."""

    async def send_without_body(message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        await send({**message, "body": b""} if is_body else message)

    return send_without_body
