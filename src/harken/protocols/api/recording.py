"""Recording one event: the most frequent request.

This is plain ASGI, because FastAPI's routing and validation take more time than the rest of
recording (see docs/benchmarks.md). The router of `create_feed_router()` has it as an ordinary
route; the application of `harken serve` calls `RecordingEndpoint` before FastAPI's routing.
"""

import json
import logging
from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from harken.domain.feedback import Interaction
from harken.errors import HarkenError, InvalidInput, Problem
from harken.protocols.http.errors import NOT_STORED, answer
from harken.protocols.http.json_body import BODY_LIMIT, JSON, content_type, parse_json, read_body
from harken.services.record.persistence import FeedFeedbackPersistence

log = logging.getLogger(__name__)

PATH = "/feedback/record"
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in NOT_STORED.items()]

Provide = Callable[[], Awaitable[FeedFeedbackPersistence]]


async def record(request: Request, persistence: FeedFeedbackPersistence) -> Response:
    """Record the event in the body of a request; the response is made after the commit.

    Raises HarkenError or HTTPException.
    """
    kind = content_type(request.scope["headers"])
    return Response(
        await _record(await request.body(), kind, persistence), media_type=JSON.decode()
    )


async def _record(body: bytes, kind: bytes, persistence: FeedFeedbackPersistence) -> bytes:
    recorded = await persistence.record(_interaction(body, kind))
    duplicate = b',"duplicate":true' if recorded.duplicate else b""
    name = json.dumps(recorded.interaction_id, ensure_ascii=False).encode()
    return b'{"success":true,"interaction_id":' + name + duplicate + b"}"


def _interaction(body: bytes, kind: bytes) -> Interaction:
    # Other content types are refused: a page of another origin may send those without a preflight
    # request (CORS).
    fields = parse_json(body) if kind == JSON else None
    if not isinstance(fields, dict):
        raise InvalidInput(
            Problem("body", "must be a JSON object, sent with Content-Type: application/json")
        )
    return Interaction.parse(fields)


class RecordingEndpoint:
    """An ASGI application that records the event in the body; it ignores the path."""

    def __init__(self, provide: Provide) -> None:
        self._provide = provide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the event and answer; an error becomes a problem document."""
        try:
            kind = content_type(scope["headers"])
            body = await read_body(receive, BODY_LIMIT)
            content = await _record(body, kind, await self._provide())
        except Exception as error:
            if not isinstance(error, HarkenError | HTTPException):
                log.exception("POST %s failed", scope["path"])
            await answer(error)(scope, receive, send)
            return
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(content)), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
