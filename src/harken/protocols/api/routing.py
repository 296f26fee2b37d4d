"""The route class of Harken's routers, which works in anybody's application."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from harken.errors import HarkenError
from harken.protocols.api.errors import answer
from harken.protocols.api.json_body import BATCH_BODY_LIMIT, BODY_LIMIT, JSONRequest

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class HarkenRoute(APIRoute):
    """Reads bodies of at most `body_limit` bytes strictly, and answers errors as problem documents.

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
                return await handle(JSONRequest(request, self.body_limit))
            except (HarkenError, RequestValidationError, HTTPException) as error:
                return answer(error)

        return handler


class BatchRoute(HarkenRoute):
    """The same for bodies that hold many things."""

    body_limit = BATCH_BODY_LIMIT
