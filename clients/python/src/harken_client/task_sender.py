"""Sending in an event loop: calls that wait for their answer, and a queue that a task sends."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from harken_client import calls
from harken_client.calls import Call
from harken_client.errors import Closed, Refused, Undelivered, Unreachable
from harken_client.pending import OnRefused, Pending, Refusal, last_of, refusals_of
from harken_client.sending import Again, Options, Token, read
from harken_client.shapes import BatchResult, Event

T = TypeVar("T")
AsyncToken = Token | Callable[[], Awaitable[str | None]]


class AsyncSender:
    """The part of `AsyncClient` that sends; it belongs to one event loop."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        user_token: AsyncToken = None,
        prefix: str = "/api",
        timeout: float = 10.0,
        patience: float = 60.0,
        queue_limit: int = 10_000,
        on_refused: OnRefused | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Make a client of the service at `url`; see `Client`.

        `user_token` may also be a coroutine function.
        """
        self._options = Options(url, prefix, key, timeout, patience)
        self._token = user_token
        self._is_own = http is None
        self._http = http if http is not None else httpx.AsyncClient()
        self._pending = Pending(queue_limit, on_refused)
        self._changed = asyncio.Condition()
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self.last_event_id: str | None = None
        """The id of the event of this client that the service acknowledged last."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        await self.close()

    # The queue

    def enqueue(self, **event: Unpack[Event]) -> str:
        """Put an event into the queue, which a task sends in batches; returns its id.

        Raises QueueFull, and then the event was not taken.
        """
        if self._closed:
            raise Closed("this client is closed")
        own_id, whole = calls.made(event)
        self._pending.add(whole)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="harken-client")
        return own_id

    @property
    def pending(self) -> int:
        """The number of events that wait for their acknowledgement."""
        return len(self._pending)

    async def flush(self, timeout: float | None = None) -> list[Refusal]:  # noqa: ASYNC109 — as in Client
        """Return when every event of the queue is recorded or refused.

        Without `on_refused`, it returns what was refused since the last call, at most the latest
        1,000. Raises Undelivered after `timeout` seconds: the events stay in the queue.
        """
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: not self._pending)
        except TimeoutError:
            raise Undelivered(self._pending.events) from None
        return self._pending.taken()

    async def close(self, timeout: float = 30.0) -> list[Refusal]:  # noqa: ASYNC109 — as in Client
        """Send what waits, and close the client; returns as `flush` does.

        Raises Undelivered, with the events that could not be sent within `timeout` seconds.
        """
        self._closed = True
        try:
            return await self.flush(timeout)
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            if self._is_own:
                await self._http.aclose()

    async def _run(self) -> None:
        while batch := self._pending.batch():
            try:
                answer = await self._send(calls.batch(batch), forever=True)
            except Refused as error:
                if self._pending.divide(batch, error):
                    continue
                refusals = [Refusal(event, error.detail) for event in batch]
            else:
                self._acknowledge(batch, answer)
                refusals = refusals_of(batch, answer)
            self._pending.tell(refusals)
            self._pending.remove(batch)
            if not self._pending:
                async with self._changed:
                    self._changed.notify_all()

    def _acknowledge(self, batch: list[Event], answer: BatchResult) -> None:
        self.last_event_id = last_of(batch, answer) or self.last_event_id

    # Calls

    async def _send(self, call: Call[T], *, forever: bool = False) -> T:
        if self._closed and not forever:
            raise Closed("this client is closed")
        give_up_at = time.monotonic() + self._options.patience
        failures = 0
        while True:
            try:
                return read(call, await self._respond(call))
            except (Again, httpx.RequestError) as error:
                least = error.seconds if isinstance(error, Again) else 0.0
                pause = self._options.pause(failures, least)
                if not forever and time.monotonic() + pause > give_up_at:
                    raise Unreachable(f"{self._options.url}: {error}") from error
            failures += 1
            await asyncio.sleep(pause)

    async def _respond(self, call: Call[Any]) -> httpx.Response:
        token = await self._ask_token()
        response = await self._http.request(**self._options.request(call, token))
        if response.status_code == 401 and (renewed := await self._ask_token()) != token:
            response = await self._http.request(**self._options.request(call, renewed))
        return response

    async def _ask_token(self) -> str | None:
        try:
            token = self._token() if callable(self._token) else self._token
            return await token if inspect.isawaitable(token) else token
        except Exception as error:  # the caller's own: asked again, like what is away
            raise Again(f"user_token failed: {error!r}") from error
