"""The route class of Harken's routers, which works in anybody's application."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from harken.errors import HarkenError
from harken.protocols.api.errors import answer

BODY_LIMIT = 64 * 1024
BATCH_BODY_LIMIT = 8 * 1024 * 1024

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class HarkenRoute(APIRoute):
    """Limits bodies to `body_limit` bytes and answers errors with problem documents.

    Both are done here and not in middleware or the application's exception handlers, since a
    router that is mounted into somebody else's application brings neither along. (The limit that
    FastAPI knows, `max_body_size`, answers in plain text.)
    """

    body_limit = BODY_LIMIT

    def get_route_handler(self) -> Handler:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(
                    Request(request.scope, limited(request.receive, self.body_limit))
                )
            except (HarkenError, RequestValidationError, HTTPException) as error:
                return answer(error)

        return handler


class BatchRoute(HarkenRoute):
    """The same for bodies that hold many things."""

    body_limit = BATCH_BODY_LIMIT


def limited(receive: Receive, limit: int) -> Receive:
    """Count what is received, and raise a 413 where a body is larger than `limit` bytes."""
    received = 0

    async def limited_receive() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, f"The body is larger than {limit} bytes; send less at once.")
        return message

    return limited_receive
