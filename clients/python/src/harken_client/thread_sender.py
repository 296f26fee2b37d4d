"""Sending with threads: calls that wait for their answer, and a queue that a thread sends."""

import atexit
import threading
import time
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


class Sender:
    """The part of `Client` that sends."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        user_token: Token = None,
        prefix: str = "/api",
        timeout: float = 10.0,
        patience: float = 60.0,
        queue_limit: int = 10_000,
        on_refused: OnRefused | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        """Make a client of the service at `url`.

        key: the API key. user_token: the token of a reader, sent in place of the key, or a function
        that returns it: it is called before each request, and once more if a token is refused.
        timeout: seconds for one try. patience: seconds for a call with all its tries.
        queue_limit: the most events that wait in the queue. on_refused: is called with each event
        of the queue that the service refused, and the reason; else `flush` returns them.
        http: your own httpx client, which stays open.
        """
        self._options = Options(url, prefix, key, timeout, patience)
        self._token = user_token
        self._is_own = http is None
        self._http = http if http is not None else httpx.Client()
        self._pending = Pending(queue_limit, on_refused)
        self._changed = threading.Condition()
        self._given_up = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.last_event_id: str | None = None
        """The id of the event of this client that the service acknowledged last."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self.close()

    # The queue

    def enqueue(self, **event: Unpack[Event]) -> str:
        """Put an event into the queue, which a thread sends in batches; returns its id.

        Raises QueueFull, and then the event was not taken.
        """
        own_id, whole = calls.made(event)
        with self._changed:
            if self._closed:
                raise Closed("this client is closed")
            self._pending.add(whole)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="harken-client", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._changed.notify_all()
        return own_id

    @property
    def pending(self) -> int:
        """The number of events that wait for their acknowledgement."""
        return len(self._pending)

    def flush(self, timeout: float | None = None) -> list[Refusal]:
        """Return when every event of the queue is recorded or refused.

        Without `on_refused`, it returns what was refused since the last call, at most the latest
        1,000. Raises Undelivered after `timeout` seconds: the events stay in the queue.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._pending, timeout):
                raise Undelivered(self._pending.events)
            return self._pending.taken()

    def close(self, timeout: float = 30.0) -> list[Refusal]:
        """Send what waits, and close the client; returns as `flush` does.

        Raises Undelivered, with the events that could not be sent within `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            return self.flush(timeout)
        finally:
            self._given_up.set()
            if self._thread is not None:
                self._thread.join()
                atexit.unregister(self.close)
            if self._is_own:
                self._http.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closed)
                batch = self._pending.batch()
            if not batch or self._given_up.is_set():
                return
            try:
                answer = self._send(calls.batch(batch), forever=True)
            except Refused as error:
                if self._pending.divide(batch, error):
                    continue
                refusals = [Refusal(event, error.detail) for event in batch]
            except Closed:
                return
            else:
                self._acknowledge(batch, answer)
                refusals = refusals_of(batch, answer)
            # Without the lock, because the caller's function may use this client.
            self._pending.tell(refusals)
            with self._changed:
                self._pending.remove(batch)
                self._changed.notify_all()

    def _acknowledge(self, batch: list[Event], answer: BatchResult) -> None:
        self.last_event_id = last_of(batch, answer) or self.last_event_id

    # Calls

    def _send(self, call: Call[T], *, forever: bool = False) -> T:
        if self._closed and not forever:
            raise Closed("this client is closed")
        give_up_at = time.monotonic() + self._options.patience
        failures = 0
        while True:
            try:
                return read(call, self._respond(call))
            except (Again, httpx.RequestError) as error:
                least = error.seconds if isinstance(error, Again) else 0.0
                pause = self._options.pause(failures, least)
                if not forever and time.monotonic() + pause > give_up_at:
                    raise Unreachable(f"{self._options.url}: {error}") from error
            failures += 1
            if self._given_up.wait(pause):
                raise Closed("this client is closed")

    def _respond(self, call: Call[Any]) -> httpx.Response:
        token = self._ask_token()
        response = self._http.request(**self._options.request(call, token))
        if response.status_code == 401 and (renewed := self._ask_token()) != token:
            response = self._http.request(**self._options.request(call, renewed))
        return response

    def _ask_token(self) -> str | None:
        try:
            return self._token() if callable(self._token) else self._token
        except Exception as error:  # the caller's own: asked again, like what is away
            raise Again(f"user_token failed: {error!r}") from error
