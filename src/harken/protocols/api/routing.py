"""The route class of Harken's routers, which works in anybody's application."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Message

from harken.errors import HarkenError
from harken.protocols.api.errors import answer

BODY_LIMIT = 64 * 1024
BATCH_BODY_LIMIT = 8 * 1024 * 1024

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class HarkenRoute(APIRoute):
    """Limits bodies to `max_body_size` bytes and answers errors with problem documents.

    Both are done here and not in middleware or the application's exception handlers, since a
    router that is mounted into somebody else's application brings neither along.
    """

    def __init__(self, *args: Any, max_body_size: int | None = None, **kwargs: Any) -> None:
        self._body_limit = max_body_size or BODY_LIMIT
        # Starlette's own limit answers in plain text.
        super().__init__(*args, max_body_size=None, **kwargs)
        self.max_body_size = self._body_limit

    def get_route_handler(self) -> Handler:
        """Wrap the handler."""
        handle = super().get_route_handler()
        limit = self._body_limit

        async def handler(request: Request) -> Response:
            try:
                return await handle(_limited(request, limit))
            except (HarkenError, RequestValidationError, HTTPException) as error:
                return answer(error)

        return handler


def _limited(request: Request, limit: int) -> Request:
    receive, received = request.receive, 0

    async def limited_receive() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, f"The body is larger than {limit} bytes; send less at once.")
        return message

    return Request(request.scope, limited_receive)
