"""The application of `harken serve`, which answers before all of it is there.

Events and pages need neither FastAPI nor the pages for people. So these are imported and made in
another thread, after the first pages can be answered. A request for anything else waits for them.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from harken.config import Settings
from harken.garbage import collector_paused
from harken.protocols.front.front import Front
from harken.protocols.front.running import opened
from harken.protocols.http.security import Pages

if TYPE_CHECKING:
    from harken.protocols.api.app import Application

log = logging.getLogger(__name__)


class Serving:
    """An ASGI application: the fast ways at once, all routes as soon as they are made."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to answer. Raises InvalidSettings, or MissingExtra for HARKEN_TOKEN_JWKS."""
        self._application: Application | None = None
        self._making: asyncio.Task[None] | None = None
        self._front = Front(settings, self._by_routes, Pages(self._is_page, self._is_static))
        self._lifespan = Router(lifespan=self._running).lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run from the start to the end of the server."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if self._application is None and not self._front.is_fast(scope):
            await self._made()
        await self._front(scope, receive, send)

    async def _by_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._application is not None  # noqa: S101 — what has no fast way waited for it
        await self._application.by_routes(scope, receive, send)

    # Events and pages of feeds are no pages for people. Other requests come when the routes exist.

    def _is_page(self, scope: Scope) -> bool:
        return self._application is not None and self._application.is_page(scope)

    def _is_static(self, scope: Scope) -> bool:
        return self._application is not None and self._application.is_static(scope)

    @asynccontextmanager
    async def _running(self, _router: Any) -> AsyncIterator[None]:
        async with opened(self._front), AsyncExitStack() as stack:
            making = self._start_making(stack)
            try:
                yield
            finally:
                await asyncio.wait([making])

    async def _made(self) -> None:
        """Wait until the routes are there; without a lifespan, the first request makes them."""
        await asyncio.shield(self._making or self._start_making())

    def _start_making(self, stack: AsyncExitStack | None = None) -> "asyncio.Task[None]":
        self._making = asyncio.create_task(self._make(stack), name="harken-routes")
        return self._making

    async def _make(self, stack: AsyncExitStack | None) -> None:
        """Make the routes; within a lifespan, run what is due from time to time."""
        try:
            application = await asyncio.to_thread(self._create)
            if stack is not None:
                await stack.enter_async_context(application.schedules())
            self._application = application
        except Exception:
            log.exception("The server cannot make its routes, and ends.")
            signal.raise_signal(signal.SIGTERM)
            raise

    def _create(self) -> "Application":
        with collector_paused():
            from harken.protocols.api.app import create_app  # noqa: PLC0415 — see above

            return create_app(self._front.settings, self._front)
