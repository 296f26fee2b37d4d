"""Recording one event: the route that every view of every reader takes.

It is written as plain ASGI, since FastAPI's own way from a request to a function costs more than
the whole rest of recording does (docs/benchmarks.md has the figures). The router serves it as one
of its routes; in our own application, `RecordingShortcut` also spares it the routing.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from harken.domain.feedback import Interaction
from harken.errors import HarkenError, InvalidInput, Problem
from harken.protocols.api.errors import answer
from harken.protocols.api.routing import BODY_LIMIT, limited
from harken.services.feed.persistence import FeedFeedbackPersistence

PATH = "/feedback/record"

Provide = Callable[[], Awaitable[FeedFeedbackPersistence]]


async def record(request: Request, persistence: FeedFeedbackPersistence) -> Response:
    """Record the event of a request's body; raises HarkenError or HTTPException."""
    recorded = await persistence.record(Interaction.parse(await _fields(request)))
    content: dict[str, Any] = {"success": True, "interaction_id": recorded.interaction_id}
    if recorded.duplicate:
        content["duplicate"] = True
    return JSONResponse(content)


async def _fields(request: Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.body())
    except json.JSONDecodeError as error:
        raise HTTPException(
            400, f"The body is not JSON: {error.msg} at character {error.pos}"
        ) from None
    except (UnicodeDecodeError, RecursionError):
        raise HTTPException(400, "The body is not JSON, or nested without end.") from None
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    # Asking for the type keeps pages of others from posting without asking the browser first.
    if not isinstance(fields, dict) or kind.strip().lower() != "application/json":
        raise InvalidInput(
            Problem("body", "must be a JSON object, sent with Content-Type: application/json")
        )
    return fields


class RecordingShortcut:
    """Middleware that answers one path itself and passes everything else on."""

    def __init__(self, app: ASGIApp, path: str, provide: Provide) -> None:
        self._app = app
        self._path = path
        self._provide = provide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to record, or pass it on."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            request = Request(scope, limited(receive, BODY_LIMIT))
            response = await record(request, await self._provide())
        except (HarkenError, HTTPException) as error:
            response = answer(error)
        await response(scope, receive, send)
