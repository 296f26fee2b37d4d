"""The calls of the service, without sending them: address, parameters, body and answer."""

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

from harken_client.shapes import (
    BatchResult,
    Candidates,
    Comment,
    Comments,
    Event,
    FeedPage,
    Found,
    KBlock,
    KBlockBatchChange,
    KBlockChange,
    LoggedEvents,
    Marked,
    PageOptions,
    Ranked,
    Recorded,
    SearchOptions,
    Similar,
    StoredKBlock,
    Unread,
)

T = TypeVar("T")

BUILT_IN = frozenset(
    {
        "axioms",
        "coherent",
        "contradictions",
        "cosmos",
        "handwavy",
        "history",
        "personal",
        "saved",
    }
)
"""Feeds with a route of their own; other names are those of stored feeds, tags and authors."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A call whose answer is a JSON object with the field `has`; safe to be sent again."""

    method: str
    path: str
    has: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    more_seconds: float = 0
    """How much longer than usual the answer may take."""


class _Ids:
    """Ids of events: UUIDs of version 7, which sort by the time at which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """Return an id that is greater than all ids that this process made before."""
        with self._lock:
            # Milliseconds, and 12 bits that count what was made within one.
            self._last = max(self._last + 1, int(time.time() * 1_000) << 12)
            at = self._last
        milliseconds, count = at >> 12, at & 0xFFF
        random = int.from_bytes(os.urandom(8)) & (2**62 - 1)
        return str(UUID(int=milliseconds << 80 | 7 << 76 | count << 64 | 2 << 62 | random))


_ids = _Ids()


def now() -> str:
    """Return the time as the service takes it."""
    return datetime.now(UTC).isoformat()


def made(event: Event) -> tuple[str, Event]:
    """Return the id of an event, and a copy of it that can be sent again safely.

    It gets an id and a time unless it has them. Raises TypeError or ValueError if it is no JSON.
    """
    text = json.dumps(event, ensure_ascii=False, allow_nan=False)
    whole: Event = json.loads(text.encode())
    own_id = whole["interaction_id"] = whole.get("interaction_id") or _ids.new()
    whole["occurred_at"] = whole.get("occurred_at") or now()
    return own_id, whole


def record(event: Event) -> Call[Recorded]:
    """Record one event, made by `made`."""
    return Call("POST", "/feed/feedback/record", "interaction_id", body=event | {"sent_at": now()})


def batch(events: Sequence[Event]) -> Call[BatchResult]:
    """Record up to 1,000 events, made by `made`."""
    sent = [event | {"sent_at": now()} for event in events]
    return Call("POST", "/feed/feedback/batch", "rejected", body={"events": sent})


def page(feed: str, options: PageOptions, cursor: str | None) -> Call[FeedPage]:
    """Read a page of a feed; a cursor has the options of the first page, but for two."""
    if cursor is not None:
        options = _beside(options)
    path = f"/feed/{feed}" if feed in BUILT_IN else f"/feed/feeds/{_step(feed)}"
    return Call("GET", path, "next_cursor", _given({**options, "cursor": cursor}))


def _beside(options: PageOptions) -> PageOptions:
    beside: PageOptions = {}
    if "user_id" in options:
        beside["user_id"] = options["user_id"]
    if "limit" in options:
        beside["limit"] = options["limit"]
    return beside


def rank(candidates: Candidates) -> Call[Ranked]:
    """Rank K-Blocks for a reader."""
    return Call("POST", "/feed/rank", "request_id", body=candidates)


def search(query: str, options: SearchOptions, cursor: str | None) -> Call[Found]:
    """Search K-Blocks."""
    given = _given({**options, "q": query, "cursor": cursor})
    return Call("GET", "/kblocks/search", "items", given)


def kblock(kblock_id: str) -> Call[StoredKBlock]:
    """Read a K-Block."""
    return Call("GET", f"/kblocks/{_step(kblock_id)}", "id")


def put_kblock(kblock: KBlock) -> Call[KBlockChange]:
    """Add or replace a K-Block."""
    body = {name: value for name, value in kblock.items() if name != "id"}
    return Call("PUT", f"/kblocks/{_step(kblock['id'])}", "status", body=body)


def put_kblocks(kblocks: Sequence[KBlock]) -> Call[KBlockBatchChange]:
    """Add or replace up to 1,000 K-Blocks."""
    return Call("POST", "/kblocks/batch", "rejected", body={"kblocks": list(kblocks)})


def delete_kblock(kblock_id: str) -> Call[dict[str, Any]]:
    """Delete a K-Block."""
    return Call("DELETE", f"/kblocks/{_step(kblock_id)}", "success")


def similar(kblock_id: str, user_id: str | None, limit: int) -> Call[Similar]:
    """Read what is like a K-Block."""
    given = _given({"user_id": user_id, "limit": limit})
    return Call("GET", f"/kblocks/{_step(kblock_id)}/similar", "items", given)


def comments(kblock_id: str, limit: int, offset: int) -> Call[Comments]:
    """Read comments on a K-Block."""
    given = {"limit": limit, "offset": offset}
    return Call("GET", f"/kblocks/{_step(kblock_id)}/comments", "comments", given)


def edit_comment(comment_id: str, text: str, user_id: str | None) -> Call[Comment]:
    """Replace the text of a comment."""
    body = _given({"text": text, "user_id": user_id})
    return Call("PATCH", f"/comments/{_step(comment_id)}", "comment_id", body=body)


def remove_comment(comment_id: str, user_id: str | None) -> Call[dict[str, Any]]:
    """Remove a comment."""
    given = _given({"user_id": user_id})
    return Call("DELETE", f"/comments/{_step(comment_id)}", "success", given)


def mark_read(kblock_ids: Sequence[str], user_id: str | None, *, is_read: bool) -> Call[Marked]:
    """Mark K-Blocks as read or unread."""
    body = _given({"kblock_ids": list(kblock_ids), "user_id": user_id, "is_read": is_read})
    return Call("POST", "/feed/reads", "changed", body=body)


def unread(user_id: str, feeds: Sequence[str] | None) -> Call[Unread]:
    """Count what a reader has not read."""
    return Call("GET", "/feed/unread", "unread", _given({"user_id": user_id, "feed": feeds}))


def undo_dismissal(kblock_id: str, user_id: str) -> Call[dict[str, Any]]:
    """Show a dismissed K-Block again."""
    path = f"/feed/dismissals/{_step(kblock_id)}"
    return Call("DELETE", path, "success", {"user_id": user_id})


def events(after: str | None, limit: int, wait: int) -> Call[LoggedEvents]:
    """Read the log after a cursor."""
    given = _given({"after": after, "limit": limit, "wait": wait or None})
    return Call("GET", "/feed/feedback/events", "events", given, more_seconds=wait)


def _step(own_id: str) -> str:
    return quote(own_id, safe="")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
