"""The route classes of Harken's routers, which work in any FastAPI application."""

from collections.abc import Callable, Coroutine
from inspect import isclass
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from harken.errors import HarkenError
from harken.protocols.http.addresses import check_parameters, check_text, last_step, without_body
from harken.protocols.http.errors import NOT_STORED, answer, invalid_input, problem
from harken.protocols.http.json_body import JSONRequest
from harken.protocols.http.size_limits import BATCH_BODY_LIMIT, BODY_LIMIT

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class HarkenRoute(APIRoute):
    """A route with strict JSON bodies of at most `body_limit` bytes; errors are problem documents.

    The route does this, not a middleware or an exception handler of the application, because a
    router in another FastAPI application has neither. (FastAPI's `max_body_size` would answer in
    plain text.)

    A route with GET answers HEAD, too; every path answers OPTIONS. Another method is a 405 that
    lists the allowed ones. Unknown query parameters are refused.

    `parts` are the last steps that may follow an id: `/kblocks/x/similar` is a property of x, but
    `/kblocks/x%2Fsimilar` is the K-Block with the id `x/similar`. `other_names` are path steps that
    belong to other routes and are never ids.
    """

    body_limit = BODY_LIMIT
    refuses_unknown_parameters = True
    parts: ClassVar[frozenset[str]] = frozenset()
    other_names: ClassVar[frozenset[str]] = frozenset()

    def get_route_handler(self) -> Handler:
        """Return the handler with parameter checks, JSON parsing and problem documents."""
        handle = super().get_route_handler()
        known = self._parameters() if self.refuses_unknown_parameters else None

        async def handler(request: Request) -> Response:
            try:
                if known is not None:
                    check_text(request.scope)
                    check_parameters(request.query_params, known)
                response = await handle(JSONRequest(request, self.body_limit))
            except RequestValidationError as error:
                return answer(invalid_input(error.errors()))
            except (HarkenError, HTTPException) as error:
                return answer(error)
            for name, value in NOT_STORED.items():
                response.headers.setdefault(name, value)
            return response

        return handler

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request matches this route, fully or except for its method."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        match, found = super().matches({**scope, "method": "GET"} if is_head else scope)
        if match is not Match.NONE and not self._matches_ids(scope, found["path_params"]):
            return Match.NONE, {}
        return match, found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path, with any method."""
        methods = self.methods or set()
        if scope["method"] in methods:
            await super().handle(scope, receive, send)
        elif scope["method"] == "HEAD" and "GET" in methods:
            await super().handle({**scope, "method": "GET"}, receive, without_body(send))
        else:
            await _other_method(scope, self)(scope, receive, send)

    def _matches_ids(self, scope: Scope, parameters: dict[str, Any]) -> bool:
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
    """A route for batches, with a higher limit of the body."""

    body_limit = BATCH_BODY_LIMIT


class LenientRoute(HarkenRoute):
    """A route for pages and health checks, which ignores unknown parameters."""

    refuses_unknown_parameters = False


def _other_method(scope: Scope, route: HarkenRoute) -> Response:
    """Answer a method that a path does not support: 204 to OPTIONS, else 405."""
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
        405, f"{scope['method']} is not allowed here; use {', '.join(found)}", headers=allowed
    )
