# Made by clients/python/scripts/async_client.py from client.py.
"""The client for event loops."""

from collections.abc import AsyncIterator, Sequence
from typing import Unpack

from harken_client import calls
from harken_client.shapes import (
    BatchResult,
    Comment,
    Comments,
    Event,
    FeedPage,
    Found,
    FoundItem,
    Item,
    KBlock,
    KBlockBatchChange,
    KBlockChange,
    LoggedEvent,
    Marked,
    PageOptions,
    Ranked,
    RankOptions,
    Recorded,
    SearchOptions,
    Similar,
    StoredKBlock,
    Unread,
)
from harken_client.task_sender import AsyncSender

AT_ONCE = 500
"""Events or K-Blocks in one request of a longer list."""
LONGEST_WAIT = 5
"""Seconds that the service waits for an event of the log in one request."""


class AsyncClient(AsyncSender):
    """A client of one service, as one caller; it belongs to one event loop.

    Each call is sent again until it is answered, for up to `patience` seconds: what it does, it
    does once. Methods raise `Refused` for what the service will not do, and `Unreachable`.
    """

    # Recording: see also `enqueue` and `flush`

    async def record(self, **event: Unpack[Event]) -> Recorded:
        """Record one event, and return when it is in the log.

        It gets an `interaction_id` and an `occurred_at` unless it has them.
        """
        _, whole = calls.made(event)
        recorded = await self._send(calls.record(whole))
        self.last_event_id = recorded["interaction_id"]
        return recorded

    async def record_batch(self, events: Sequence[Event]) -> BatchResult:
        """Record many events, and return when they are in the log.

        `rejected` has the place in `events` of each that was refused, and why; the others are
        recorded.
        """
        result: BatchResult = {"accepted": 0, "duplicates": 0, "rejected": []}
        for start in range(0, len(events), AT_ONCE):
            some = [calls.made(event)[1] for event in events[start : start + AT_ONCE]]
            answer = await self._send(calls.batch(some))
            result["accepted"] += answer["accepted"]
            result["duplicates"] += answer["duplicates"]
            for each in answer["rejected"]:
                result["rejected"].append({"index": start + each["index"], "error": each["error"]})
            self._acknowledge(some, answer)
        return result

    # Feeds

    async def page(
        self, feed: str = "cosmos", *, cursor: str | None = None, **options: Unpack[PageOptions]
    ) -> FeedPage:
        """Return a page of a feed; `cursor` is the `next_cursor` of the page before."""
        return await self._send(calls.page(feed, options, cursor))

    async def pages(
        self, feed: str = "cosmos", **options: Unpack[PageOptions]
    ) -> AsyncIterator[FeedPage]:
        """Yield the pages of a feed. They fit together, also while the feed changes."""
        cursor: str | None = None
        while True:
            page = await self._send(calls.page(feed, options, cursor))
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def items(
        self, feed: str = "cosmos", **options: Unpack[PageOptions]
    ) -> AsyncIterator[Item]:
        """Yield the items of a feed, page by page."""
        async for page in self.pages(feed, **options):
            for each in page["items"]:
                yield each

    async def rank(self, kblock_ids: Sequence[str], **options: Unpack[RankOptions]) -> Ranked:
        """Rank up to 1,000 K-Blocks of yours for a reader."""
        return await self._send(calls.rank({"kblock_ids": list(kblock_ids), **options}))

    # K-Blocks

    async def kblock(self, kblock_id: str) -> StoredKBlock:
        """Return a K-Block."""
        return await self._send(calls.kblock(kblock_id))

    async def put_kblock(self, **kblock: Unpack[KBlock]) -> KBlockChange:
        """Add or replace a K-Block."""
        return await self._send(calls.put_kblock(kblock))

    async def put_kblocks(self, kblocks: Sequence[KBlock]) -> KBlockBatchChange:
        """Add or replace many K-Blocks; `rejected` is as in `record_batch`."""
        result: KBlockBatchChange = {"added": 0, "updated": 0, "unchanged": 0, "rejected": []}
        for start in range(0, len(kblocks), AT_ONCE):
            answer = await self._send(calls.put_kblocks(kblocks[start : start + AT_ONCE]))
            result["added"] += answer["added"]
            result["updated"] += answer["updated"]
            result["unchanged"] += answer["unchanged"]
            for each in answer["rejected"]:
                result["rejected"].append({"index": start + each["index"], "error": each["error"]})
        return result

    async def delete_kblock(self, kblock_id: str) -> None:
        """Delete a K-Block. Raises NotFound."""
        await self._send(calls.delete_kblock(kblock_id))

    async def similar(self, kblock_id: str, user_id: str | None = None, limit: int = 10) -> Similar:
        """Return K-Blocks that are like one."""
        return await self._send(calls.similar(kblock_id, user_id, limit))

    async def search(
        self, query: str = "", *, cursor: str | None = None, **options: Unpack[SearchOptions]
    ) -> Found:
        """Return a page of the K-Blocks that have certain words."""
        return await self._send(calls.search(query, options, cursor))

    async def search_items(
        self, query: str = "", **options: Unpack[SearchOptions]
    ) -> AsyncIterator[FoundItem]:
        """Yield all K-Blocks that have certain words, page by page."""
        cursor: str | None = None
        while True:
            found = await self._send(calls.search(query, options, cursor))
            for each in found["items"]:
                yield each
            cursor = found["next_cursor"]
            if cursor is None:
                return

    # Readers

    async def comments(self, kblock_id: str, *, limit: int = 50, offset: int = 0) -> Comments:
        """Return comments on a K-Block, the oldest first."""
        return await self._send(calls.comments(kblock_id, limit, offset))

    async def edit_comment(self, comment_id: str, text: str, user_id: str | None = None) -> Comment:
        """Replace the text of a reader's own comment."""
        return await self._send(calls.edit_comment(comment_id, text, user_id))

    async def remove_comment(self, comment_id: str, user_id: str | None = None) -> None:
        """Remove a reader's own comment. Raises NotFound."""
        await self._send(calls.remove_comment(comment_id, user_id))

    async def mark_read(
        self, kblock_ids: Sequence[str], user_id: str | None = None, *, is_read: bool = True
    ) -> Marked:
        """Mark K-Blocks as read or unread; `changed` are those whose mark was another."""
        return await self._send(calls.mark_read(kblock_ids, user_id, is_read=is_read))

    async def unread(self, user_id: str, feeds: Sequence[str] | None = None) -> Unread:
        """Return how many K-Blocks of feeds a reader has not read, and how many they saved."""
        return await self._send(calls.unread(user_id, feeds))

    async def undo_dismissal(self, kblock_id: str, user_id: str) -> None:
        """Show a dismissed K-Block again. Raises NotFound."""
        await self._send(calls.undo_dismissal(kblock_id, user_id))

    # The log

    async def events(
        self, after: str | None = None, *, follow: bool = False
    ) -> AsyncIterator[LoggedEvent]:
        """Yield the events of the log after a cursor, in the order of commits.

        Each has its `cursor`. With `follow`, go on for ever, and wait for more.
        """
        while True:
            wait = LONGEST_WAIT if follow else 0
            page = await self._send(calls.events(after, 2 * AT_ONCE, wait))
            for each in page["events"]:
                yield each
            after = page["next"]
            if not follow and not page["has_more"]:
                return
