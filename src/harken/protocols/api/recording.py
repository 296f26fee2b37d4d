"""Recording one event: the most frequent request.

This is plain ASGI, because FastAPI's routing and validation take more time than the rest of
recording (see docs/benchmarks.md). The router of `create_feed_router()` has it as an ordinary
route; the application of `harken serve` calls `RecordingEndpoint` before FastAPI's routing.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from harken.domain.feedback import Interaction
from harken.errors import HarkenError, InvalidInput, Problem
from harken.protocols.api.callers import bound_event
from harken.protocols.http.errors import NOT_STORED, answer
from harken.protocols.http.json_body import JSON, content_type, parse_json, read_body
from harken.protocols.http.security import caller_of
from harken.protocols.http.size_limits import BODY_LIMIT
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence

log = logging.getLogger(__name__)

PATH = "/feedback/record"
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in NOT_STORED.items()]

Provide = Callable[[], Awaitable[FeedFeedbackPersistence]]
ProvideService = Callable[[], Awaitable[FeedService]]


async def record(
    request: Request, persistence: FeedFeedbackPersistence, caller: Caller, provide: ProvideService
) -> Response:
    """Record the event in the body of a request; the response is made after the commit.

    Raises HarkenError or HTTPException.
    """
    fields = _fields(await request.body(), content_type(request.scope["headers"]))
    if caller.is_bound:
        fields = await bound_event(fields, caller, await provide())
    return Response(await _record(fields, persistence), media_type=JSON.decode())


async def _record(fields: dict[str, Any], persistence: FeedFeedbackPersistence) -> bytes:
    recorded = await persistence.record(Interaction.parse(fields))
    duplicate = b',"duplicate":true' if recorded.duplicate else b""
    name = json.dumps(recorded.interaction_id, ensure_ascii=False).encode()
    return b'{"success":true,"interaction_id":' + name + duplicate + b"}"


def _fields(body: bytes, kind: bytes) -> dict[str, Any]:
    # Other content types are refused: a page of another origin may send those without a preflight
    # request (CORS).
    fields = parse_json(body) if kind == JSON else None
    if not isinstance(fields, dict):
        raise InvalidInput(
            Problem("body", "must be a JSON object, sent with Content-Type: application/json")
        )
    return fields


class RecordingEndpoint:
    """An ASGI application that records the event in the body; it ignores the path."""

    def __init__(self, provide: Provide, provide_service: ProvideService) -> None:
        self._provide = provide
        self._provide_service = provide_service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the event and answer; an error becomes a problem document."""
        try:
            kind = content_type(scope["headers"])
            body = await read_body(receive, BODY_LIMIT)
            fields, caller = _fields(body, kind), caller_of(scope)
            if caller.is_bound:
                fields = await bound_event(fields, caller, await self._provide_service())
            content = await _record(fields, await self._provide())
        except Exception as error:
            if not isinstance(error, HarkenError | HTTPException):
                log.exception("POST %s failed", scope["path"])
            await answer(error)(scope, receive, send)
            return
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(content)), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
