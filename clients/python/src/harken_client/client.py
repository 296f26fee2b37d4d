"""The client for programs with threads."""

from collections.abc import Iterator, Sequence
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
from harken_client.thread_sender import Sender

AT_ONCE = 500
"""Events or K-Blocks in one request of a longer list."""
LONGEST_WAIT = 5
"""Seconds that the service waits for an event of the log in one request."""


class Client(Sender):
    """A client of one service, as one caller; its methods may be called from any thread.

    Each call is sent again until it is answered, for up to `patience` seconds: what it does, it
    does once. Methods raise `Refused` for what the service will not do, and `Unreachable`.
    """

    # Recording: see also `enqueue` and `flush`

    def record(self, **event: Unpack[Event]) -> Recorded:
        """Record one event, and return when it is in the log.

        It gets an `interaction_id` and an `occurred_at` unless it has them.
        """
        _, whole = calls.made(event)
        recorded = self._send(calls.record(whole))
        self.last_event_id = recorded["interaction_id"]
        return recorded

    def record_batch(self, events: Sequence[Event]) -> BatchResult:
        """Record many events, and return when they are in the log.

        `rejected` has the place in `events` of each that was refused, and why; the others are
        recorded.
        """
        result: BatchResult = {"accepted": 0, "duplicates": 0, "rejected": []}
        for start in range(0, len(events), AT_ONCE):
            some = [calls.made(event)[1] for event in events[start : start + AT_ONCE]]
            answer = self._send(calls.batch(some))
            result["accepted"] += answer["accepted"]
            result["duplicates"] += answer["duplicates"]
            for each in answer["rejected"]:
                result["rejected"].append({"index": start + each["index"], "error": each["error"]})
            self._acknowledge(some, answer)
        return result

    # Feeds

    def page(
        self, feed: str = "cosmos", *, cursor: str | None = None, **options: Unpack[PageOptions]
    ) -> FeedPage:
        """Return a page of a feed; `cursor` is the `next_cursor` of the page before."""
        return self._send(calls.page(feed, options, cursor))

    def pages(self, feed: str = "cosmos", **options: Unpack[PageOptions]) -> Iterator[FeedPage]:
        """Yield the pages of a feed. They fit together, also while the feed changes."""
        cursor: str | None = None
        while True:
            page = self._send(calls.page(feed, options, cursor))
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def items(self, feed: str = "cosmos", **options: Unpack[PageOptions]) -> Iterator[Item]:
        """Yield the items of a feed, page by page."""
        for page in self.pages(feed, **options):
            yield from page["items"]

    def rank(self, kblock_ids: Sequence[str], **options: Unpack[RankOptions]) -> Ranked:
        """Rank up to 1,000 K-Blocks of yours for a reader."""
        return self._send(calls.rank({"kblock_ids": list(kblock_ids), **options}))

    # K-Blocks

    def kblock(self, kblock_id: str) -> StoredKBlock:
        """Return a K-Block."""
        return self._send(calls.kblock(kblock_id))

    def put_kblock(self, **kblock: Unpack[KBlock]) -> KBlockChange:
        """Add or replace a K-Block."""
        return self._send(calls.put_kblock(kblock))

    def put_kblocks(self, kblocks: Sequence[KBlock]) -> KBlockBatchChange:
        """Add or replace many K-Blocks; `rejected` is as in `record_batch`."""
        result: KBlockBatchChange = {"added": 0, "updated": 0, "unchanged": 0, "rejected": []}
        for start in range(0, len(kblocks), AT_ONCE):
            answer = self._send(calls.put_kblocks(kblocks[start : start + AT_ONCE]))
            result["added"] += answer["added"]
            result["updated"] += answer["updated"]
            result["unchanged"] += answer["unchanged"]
            for each in answer["rejected"]:
                result["rejected"].append({"index": start + each["index"], "error": each["error"]})
        return result

    def delete_kblock(self, kblock_id: str) -> None:
        """Delete a K-Block. Raises NotFound."""
        self._send(calls.delete_kblock(kblock_id))

    def similar(self, kblock_id: str, user_id: str | None = None, limit: int = 10) -> Similar:
        """Return K-Blocks that are like one."""
        return self._send(calls.similar(kblock_id, user_id, limit))

    def search(
        self, query: str = "", *, cursor: str | None = None, **options: Unpack[SearchOptions]
    ) -> Found:
        """Return a page of the K-Blocks that have certain words."""
        return self._send(calls.search(query, options, cursor))

    def search_items(
        self, query: str = "", **options: Unpack[SearchOptions]
    ) -> Iterator[FoundItem]:
        """Yield all K-Blocks that have certain words, page by page."""
        cursor: str | None = None
        while True:
            found = self._send(calls.search(query, options, cursor))
            yield from found["items"]
            cursor = found["next_cursor"]
            if cursor is None:
                return

    # Readers

    def comments(self, kblock_id: str, *, limit: int = 50, offset: int = 0) -> Comments:
        """Return comments on a K-Block, the oldest first."""
        return self._send(calls.comments(kblock_id, limit, offset))

    def edit_comment(self, comment_id: str, text: str, user_id: str | None = None) -> Comment:
        """Replace the text of a reader's own comment."""
        return self._send(calls.edit_comment(comment_id, text, user_id))

    def remove_comment(self, comment_id: str, user_id: str | None = None) -> None:
        """Remove a reader's own comment. Raises NotFound."""
        self._send(calls.remove_comment(comment_id, user_id))

    def mark_read(
        self, kblock_ids: Sequence[str], user_id: str | None = None, *, is_read: bool = True
    ) -> Marked:
        """Mark K-Blocks as read or unread; `changed` are those whose mark was another."""
        return self._send(calls.mark_read(kblock_ids, user_id, is_read=is_read))

    def unread(self, user_id: str, feeds: Sequence[str] | None = None) -> Unread:
        """Return how many K-Blocks of feeds a reader has not read, and how many they saved."""
        return self._send(calls.unread(user_id, feeds))

    def undo_dismissal(self, kblock_id: str, user_id: str) -> None:
        """Show a dismissed K-Block again. Raises NotFound."""
        self._send(calls.undo_dismissal(kblock_id, user_id))

    # The log

    def events(self, after: str | None = None, *, follow: bool = False) -> Iterator[LoggedEvent]:
        """Yield the events of the log after a cursor, in the order of commits.

        Each has its `cursor`. With `follow`, go on for ever, and wait for more.
        """
        while True:
            wait = LONGEST_WAIT if follow else 0
            page = self._send(calls.events(after, 2 * AT_ONCE, wait))
            yield from page["events"]
            after = page["next"]
            if not follow and not page["has_more"]:
                return
