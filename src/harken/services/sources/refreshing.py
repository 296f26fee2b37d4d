"""Refreshing sources: asked with what was known of them, read, and noted with what came of it.

A source whose server says that nothing changed, or that sends the same bytes again, is not read
again. What fails is tried again later and loses nothing: what is known of the last success stays.
"""

import asyncio
import hashlib
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple

from harken.domain.kblock import MAX_TITLE
from harken.errors import HarkenError, InvalidInput, printable
from harken.services.kblocks.importers.opml import FeedLocation
from harken.services.kblocks.importers.rss import Feed
from harken.services.kblocks.importers.run import KBlockImport, Summary
from harken.services.kblocks.importers.syndication.documents import prepared
from harken.services.kblocks.importers.syndication.fetching import Document, Fetched, Fetcher
from harken.services.kblocks.store import KBlockStore
from harken.services.kblocks.web_addresses import without_secrets
from harken.services.sources.store import SourceStore
from harken.services.sources.subscription import Subscription, pause_after, wait_asked

log = logging.getLogger(__name__)

LONGEST_ERROR = 500
KEPT_AT_ONCE = 50
"""The states of so many sources are stored in one transaction."""


class Politeness(NamedTuple):
    """How many sources are asked at once, and the pause between two of the same host.

    Two sources of a host are never asked at once.
    """

    at_once: int = 8
    pause: timedelta = timedelta(seconds=1)


class Result(StrEnum):
    """What came of asking a source."""

    NEWS = "news"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    GONE = "gone"


class Refreshed(NamedTuple):
    """A source after it was asked: its new state, and how many K-Blocks were added and changed."""

    source: Subscription
    result: Result
    added: int = 0
    updated: int = 0


class _States:
    """The states of the sources of one refresh, stored many at once.

    Each refresh has its own: it ends when its states are stored, whatever becomes of those of
    another refresh.
    """

    def __init__(self, store: SourceStore, writing: asyncio.Lock) -> None:
        self._store = store
        self._writing = writing
        self._unkept: list[Subscription] = []

    async def keep(self, source: Subscription) -> None:
        """Store a state with the next ones. Raises DatabaseUnavailable."""
        self._unkept.append(source)
        if len(self._unkept) >= KEPT_AT_ONCE:
            await self.keep_rest()

    async def keep_rest(self) -> None:
        """Store what is left. Raises DatabaseUnavailable."""
        async with self._writing:
            some, self._unkept = self._unkept, []
            await self._store.keep(some)


class Refresher:
    """Asks sources and stores what they have.

    `every` is how often a source is asked by itself; None for never. `chance` returns a number from
    0 to 1 by which pauses differ.
    """

    def __init__(
        self,
        store: SourceStore,
        kblocks: KBlockStore,
        fetcher: Fetcher,
        every: timedelta | None,
        clock: Callable[[], datetime],
        *,
        politeness: Politeness | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._kblocks = kblocks
        self._fetcher = fetcher
        self.every = every
        self._clock = clock
        self._politeness = politeness or Politeness()
        self._chance = chance
        # SQLite has one writer, and is unfair to those that wait for it: with several of this
        # process, one may wait until its time is over, or keep recorded events waiting.
        self._writing = asyncio.Lock()

    async def refresh(self, sources: Sequence[Subscription]) -> list[Refreshed]:
        """Ask sources and store what they have; returns what came of each, in their order.

        Raises DatabaseUnavailable; then some may not be noted, and are asked again.
        """
        slots = asyncio.Semaphore(self._politeness.at_once)
        of_host: defaultdict[str, list[int]] = defaultdict(list)
        for place, source in enumerate(sources):
            of_host[source.host].append(place)
        found: dict[int, Refreshed] = {}
        states = _States(self._store, self._writing)

        async def ask_host(places: Sequence[int]) -> None:
            for number, place in enumerate(places):
                if number:
                    await asyncio.sleep(self._politeness.pause.total_seconds())
                async with slots:
                    found[place] = await self._ask(sources[place])
                await states.keep(found[place].source)

        try:
            async with asyncio.TaskGroup() as group:
                for places in of_host.values():
                    group.create_task(ask_host(places))
        except* HarkenError as errors:
            raise errors.exceptions[0] from None
        await states.keep_rest()
        return [found[place] for place in range(len(sources))]

    async def _ask(self, source: Subscription) -> Refreshed:
        try:
            fetched = await asyncio.to_thread(
                self._fetcher.get, source.url, named=False, headers=source.validators()
            )
            return await self.take(source, fetched)
        except InvalidInput as error:
            return self._failed(source, _reason(error))
        except HarkenError:
            raise
        except Exception:
            # Whatever one server answers, the other sources are asked, and this one waits longer.
            log.exception("reading the source %s failed", source.source_id)
            return self._failed(source, "cannot be read: an error of Harken, which its log shows")

    async def take(self, source: Subscription, fetched: Fetched) -> Refreshed:
        """Store the K-Blocks of an answer, and return the source with its new state, not stored.

        Raises DatabaseUnavailable.
        """
        now = self._clock()
        if fetched.status == HTTPStatus.NOT_MODIFIED:
            return Refreshed(self._succeeded(source, fetched), Result.UNCHANGED)
        if fetched.status == HTTPStatus.GONE:
            reason = "410 Gone: its server says that it is gone for good; it is not asked again"
            gone = replace(source, checked_at=now, error=reason, is_gone=True, due_at=None)
            return Refreshed(replace(gone, failures=source.failures + 1), Result.GONE)
        if fetched.document is None:
            wait = wait_asked(fetched.retry_after, now)
            return self._failed(source, f"cannot be fetched: {fetched.said}", wait)
        digest = hashlib.sha256(fetched.document.content).hexdigest()
        if digest == source.digest and source.error is None:
            return Refreshed(self._succeeded(source, fetched), Result.UNCHANGED)
        return await self._read(source, fetched, fetched.document, digest)

    async def _read(
        self, source: Subscription, fetched: Fetched, document: Document, digest: str
    ) -> Refreshed:
        feed = Feed(
            FeedLocation(without_secrets(source.url), lambda: prepared(document), source.url)
        )
        async with self._writing:
            summary = await KBlockImport(self._kblocks).run(feed)
        if summary.interrupted:
            raise asyncio.CancelledError
        if feed.head is None:
            return self._failed(source, _first_failure(summary))
        known = replace(
            self._succeeded(source, fetched),
            title=feed.head.title[:MAX_TITLE],
            site_url=feed.head.link or source.site_url,
            digest=digest,
            error=_first_failure(summary) if summary.failed else None,
        )
        is_new = summary.added + summary.updated > 0
        result = Result.NEWS if is_new else Result.UNCHANGED
        return Refreshed(known, result, summary.added, summary.updated)

    def _succeeded(self, source: Subscription, fetched: Fetched) -> Subscription:
        now, is_same = self._clock(), fetched.status == HTTPStatus.NOT_MODIFIED
        return replace(
            source,
            # An answer without a body need not repeat what it is valid for.
            etag=fetched.etag or (source.etag if is_same else None),
            last_modified=fetched.last_modified or (source.last_modified if is_same else None),
            checked_at=now,
            succeeded_at=now,
            failures=0,
            error=source.error if is_same and not source.failures else None,
            is_gone=False,
            due_at=self._due(now, 0, timedelta()),
        )

    def _failed(
        self, source: Subscription, reason: str, wait: timedelta = timedelta()
    ) -> Refreshed:
        now, failures = self._clock(), source.failures + 1
        due = None if source.is_gone else self._due(now, failures, wait)
        error = printable(reason)[:LONGEST_ERROR]
        failed = replace(source, checked_at=now, error=error, failures=failures, due_at=due)
        return Refreshed(failed, Result.FAILED)

    def _due(self, now: datetime, failures: int, wait: timedelta) -> datetime | None:
        if self.every is None:
            return now + wait if wait else None
        return now + max(pause_after(self.every, failures, self._chance()), wait)


def _reason(error: InvalidInput) -> str:
    return "; ".join(problem.message for problem in error.problems)


def _first_failure(summary: Summary) -> str:
    if not summary.failures:
        return "cannot be read"
    reason = summary.failures[0][1].removeprefix(": ")
    more = summary.failed - 1
    return f"{reason} (and {more} more)" if more else reason
