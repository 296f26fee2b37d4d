"""Events that wait to be sent in batches, in the order in which they were given."""

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from harken_client.errors import QueueFull, Refused
from harken_client.shapes import BatchResult, Event

log = logging.getLogger("harken_client")

MOST_EVENTS = 500
MOST_BYTES = 1024 * 1024
MOST_REFUSALS = 1_000


class Refusal(NamedTuple):
    """An event that the service refused, and why. It is not sent again."""

    event: Event
    reason: str


OnRefused = Callable[[Event, str], None]


class Pending:
    """A bounded queue. A batch stays in it until the service has answered it."""

    def __init__(self, limit: int, on_refused: OnRefused | None) -> None:
        self._limit = limit
        self._on_refused = on_refused
        self._events: deque[Event] = deque()
        self._most = MOST_EVENTS
        self._refused: deque[Refusal] = deque(maxlen=MOST_REFUSALS)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def events(self) -> list[Event]:
        """The events that wait, with those that are being sent."""
        return list(self._events)

    def add(self, event: Event) -> None:
        """Add an event. Raises QueueFull."""
        if len(self._events) >= self._limit:
            raise QueueFull(f"{len(self._events)} events wait to be sent already")
        self._events.append(event)

    def batch(self) -> list[Event]:
        """Return the first events that fit into one request, at least one; none if it is empty."""
        chosen: list[Event] = []
        size = 0
        for event in islice(self._events, self._most):
            size += len(json.dumps(event)) + 64
            if chosen and size > MOST_BYTES:
                break
            chosen.append(event)
        return chosen

    def divide(self, batch: Sequence[Event], error: Refused) -> bool:
        """Let the next batch be smaller, if this one was refused for its size and can be."""
        if error.status != 413 or len(batch) == 1:
            return False
        self._most = len(batch) // 2
        return True

    def remove(self, batch: Sequence[Event]) -> None:
        """Remove a batch that was answered, after `tell`."""
        for _ in batch:
            self._events.popleft()
        self._most = MOST_EVENTS

    def tell(self, refusals: Sequence[Refusal]) -> None:
        """Report what was refused: to the function of the caller, else in the log and `taken`."""
        for each in refusals:
            if self._on_refused is None:
                own_id = each.event.get("interaction_id")
                log.warning("event %s is refused: %s", own_id, each.reason)
                self._refused.append(each)
                continue
            try:
                self._on_refused(*each)
            except Exception:  # the caller's own fault stops no other event
                log.exception("on_refused failed")

    def taken(self) -> list[Refusal]:
        """Return what was refused since the last call, at most the latest 1,000."""
        found = []
        while self._refused:  # another thread may add to it
            found.append(self._refused.popleft())
        return found


def refusals_of(batch: Sequence[Event], answer: BatchResult) -> list[Refusal]:
    """Return what was refused of a batch that was answered."""
    return [Refusal(batch[each["index"]], each["error"]) for each in answer["rejected"]]


def last_of(batch: Sequence[Event], answer: BatchResult) -> str | None:
    """Return the id of the last event of a batch that is in the log; None if none is."""
    refused = {each["index"] for each in answer["rejected"]}
    ids = [event.get("interaction_id") for at, event in enumerate(batch) if at not in refused]
    return ids[-1] if ids else None
