"""The sources of one database: subscribing, listing, renaming, removing, and refreshing now."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from harken.database import Database
from harken.domain.kblock import MAX_TITLE
from harken.domain.preferences import MOST_INTEREST, Preferences
from harken.errors import InvalidInput, NotFound, Problem, quoted
from harken.services.kblocks.importers.syndication.documents import Kind, WebPage, prepared
from harken.services.kblocks.importers.syndication.fetching import Fetched, Fetcher
from harken.services.kblocks.store import KBlockStore
from harken.services.kblocks.web_addresses import is_web
from harken.services.record.readers import ReaderStore
from harken.services.sources.outlines import LONGEST_URL, read_opml, write_opml
from harken.services.sources.refreshing import Politeness, Refreshed, Refresher
from harken.services.sources.store import Listed, SourceStore
from harken.services.sources.subscription import Subscription

REMEDY = "HARKEN_PRIVATE_SOURCES names the hosts of a private network that may be read"
LEAST_WEIGHT, MOST_WEIGHT = 2.0**-MOST_INTEREST, 2.0**MOST_INTEREST


class SourceOptions(NamedTuple):
    """How sources are read: `every` is how often each is asked, None for only on request.

    Without a fetcher, documents of the public internet are read.
    """

    every: timedelta | None = None
    fetcher: Fetcher | None = None
    politeness: Politeness | None = None


class Subscribed(NamedTuple):
    """The result of subscribing; `others` are further feeds that the page names."""

    refreshed: Refreshed
    is_new: bool
    others: list[str]


class Imported(NamedTuple):
    """The result of importing a list: how many sources are new or known; what was left out."""

    added: int
    known: int
    left_out: list[str]


class Preference(NamedTuple):
    """What a reader wants of a source: whether it is muted, and its weight (1 by default)."""

    muted: bool = False
    weight: float = 1.0


class Sources:
    """The sources of one database, and what readers want of each."""

    def __init__(
        self,
        database: Database,
        kblocks: KBlockStore,
        readers: ReaderStore,
        clock: Callable[[], datetime],
        options: SourceOptions | None = None,
        retitled: Callable[[], object] = lambda: None,
    ) -> None:
        """Use these; `retitled` is called when a source got another title on request."""
        options = options or SourceOptions()
        self._retitled = retitled
        self.store = SourceStore(database)
        self._fetcher = options.fetcher or Fetcher(remedy=REMEDY)
        self.refresher = Refresher(
            self.store, kblocks, self._fetcher, options.every, clock, politeness=options.politeness
        )
        self.wake = asyncio.Event()
        """Set when sources are to be asked before the background looks again."""
        self._readers = readers
        self._clock = clock

    @property
    def every(self) -> timedelta | None:
        """How often each source is asked in the background; None for only on request."""
        return self.refresher.every

    async def listed(self, limit: int, offset: int = 0) -> tuple[list[Listed], int]:
        """Return sources by their titles, and how many there are. Raises DatabaseUnavailable."""
        return await self.store.listed(limit, offset)

    async def get(self, source_id: str) -> Subscription:
        """Return a source. Raises NotFound or DatabaseUnavailable."""
        source = await self.store.get(source_id)
        if source is None:
            raise NotFound(f"there is no source {quoted(source_id)}")
        return source

    async def title(self, source_id: str) -> str:
        """Return the title of a source; its id if it is unknown. Raises DatabaseUnavailable."""
        return (await self.store.titles([source_id])).get(source_id, source_id)

    async def subscribe(
        self, url: str, *, title: str | None = None, by: str | None = None
    ) -> Subscribed:
        """Subscribe to a feed, or to the first feed that a web page names; and read it.

        A source that is known is read again. Raises InvalidInput if there is no feed to be read at
        the address, or DatabaseUnavailable.
        """
        at = _checked_url(url)
        fetched, others = await asyncio.to_thread(self._found, at)
        at = fetched.url
        known = await self.store.at(_spellings(at))
        source = known or Subscription(url=at, added_by=by, added_at=self._clock())
        if title is not None:
            source = replace(source, given_title=_checked_title(title))
        refreshed = await self.refresher.take(source, fetched.answer)
        is_new = bool(await self.store.add([refreshed.source])) if known is None else False
        if not is_new:
            await self.store.keep([refreshed.source])
            if title is not None:
                await self.store.rename(source.source_id, source.given_title)
        self._retitled()
        return Subscribed(refreshed, is_new, others)

    def _found(self, url: str) -> "tuple[_Found, list[str]]":
        """Return the feed at an address or on its page, and the further feeds of the page."""
        answer = self._get(url)
        others: list[str] = []
        try:
            kind = prepared(answer.document).kind if answer.document else None
        except WebPage as page:
            feeds = [each for each in page.feeds if is_web(each)]
            if not feeds:
                reason = "is a web page that names no feed; give the address of its feed"
                raise InvalidInput(Problem("url", reason)) from None
            url, *others = feeds
            answer = self._get(url)
            kind = _kind(answer)
        except InvalidInput as error:
            raise InvalidInput(Problem("url", _words(error))) from None
        if kind is Kind.OPML:
            raise InvalidInput(Problem("url", "is a list of feeds (OPML): save and import it"))
        return _Found(url, answer), others

    def _get(self, url: str) -> Fetched:
        try:
            answer = self._fetcher.get(url, named=False)
        except InvalidInput as error:
            raise InvalidInput(Problem("url", _words(error))) from None
        if answer.document is None:
            raise InvalidInput(Problem("url", f"cannot be fetched: {answer.said}"))
        return answer

    async def import_opml(self, content: bytes, *, by: str | None = None) -> Imported:
        """Subscribe to the feeds of a list; they are read in the background.

        Raises InvalidInput if it is no list, or DatabaseUnavailable.
        """
        found = await asyncio.to_thread(read_opml, content)
        now = self._clock()
        sources = [
            Subscription(
                url=each.url, given_title=each.title or None, site_url=each.site_url,
                added_by=by, added_at=now, due_at=now,
            )
            for each in found.feeds
        ]  # fmt: skip
        distinct = {each.source_id: each for each in sources}
        added = await self.store.add(distinct.values())
        self.wake.set()
        return Imported(len(added), len(distinct) - len(added), found.left_out)

    async def export_opml(self) -> bytes:
        """Return the list of all sources as OPML. Raises DatabaseUnavailable."""
        return write_opml(await self.store.all())

    async def rename(self, source_id: str, title: str | None) -> Subscription:
        """Give a source a title, or with None that of the feed again.

        Raises InvalidInput, NotFound or DatabaseUnavailable.
        """
        given = None if title is None else _checked_title(title)
        await self.get(source_id)
        await self.store.rename(source_id, given)
        self._retitled()
        return await self.get(source_id)

    async def remove(self, source_id: str) -> None:
        """Remove a source; its K-Blocks stay. Raises NotFound or DatabaseUnavailable."""
        if not await self.store.remove(source_id):
            raise NotFound(f"there is no source {quoted(source_id)}")
        self._retitled()

    async def refresh(self, source_id: str) -> Refreshed:
        """Ask a source now, also one that is gone. Raises NotFound or DatabaseUnavailable."""
        [refreshed] = await self.refresher.refresh([await self.get(source_id)])
        return refreshed

    async def ask_all(self) -> int:
        """Have all sources asked in the background; returns how many. They are asked at once."""
        count = await self.store.ask(self._clock())
        self.wake.set()
        return count

    async def due(self, most: int) -> list[Subscription]:
        """Return sources that are to be asked now. Raises DatabaseUnavailable."""
        return await self.store.due(self._clock(), most)

    async def resume(self) -> None:
        """Have sources asked that no time is set for, because refreshing was off before."""
        if self.every is not None:
            await self.store.schedule(self._clock())

    # What readers want

    async def preferences(self, user_id: str, sources: Sequence[Listed]) -> dict[str, Preference]:
        """Return what a reader wants of sources, by id. Raises DatabaseUnavailable."""
        context = await self._readers.context(user_id)
        muted, weights = set(context.muted_sources), context.source_weights
        return {
            each.source.source_id: Preference(
                each.source.source_id in muted, weights.get(each.source.name, 1.0)
            )
            for each in sources
        }

    async def prefer(
        self, user_id: str, source_id: str, *, muted: bool | None = None,
        weight: float | None = None,
    ) -> Preference:  # fmt: skip
        """Set what a reader wants of a source; None leaves a part as it is.

        The weight is a preference, too: its binary logarithm is the reader's interest in the
        source. Raises InvalidInput, NotFound, Erased or DatabaseUnavailable.
        """
        source = await self.get(source_id)

        def amended(known: Preferences) -> Preferences:
            fields = known.model_dump()
            if muted is not None:
                others = [each for each in known.muted_sources if each != source_id]
                fields["muted_sources"] = [*others, source_id] if muted else others
            if weight is not None:
                of_sources = dict(known.interests.get("sources", {}))
                of_sources.pop(source.name, None)
                if weight != 1:
                    of_sources[source.name] = round(math.log2(weight), 4)
                fields["interests"] = {**known.interests, "sources": of_sources}
            return Preferences.parse(fields)

        await self._readers.amend(user_id, amended)
        listed = [Listed(source, 0)]
        return (await self.preferences(user_id, listed))[source_id]


class _Found(NamedTuple):
    """A feed that was found: its address, and the answer with it."""

    url: str
    answer: Fetched


def _kind(answer: Fetched) -> Kind | None:
    try:
        return prepared(answer.document).kind if answer.document else None
    except InvalidInput as error:
        raise InvalidInput(Problem("url", f"names a feed that {_words(error)}")) from None


def _checked_url(url: str) -> str:
    at = url.strip()
    if at.lower().startswith("feed:"):
        at = at[5:] if is_web(at[5:]) else f"http:{at[5:]}"
    if "://" not in at:
        at = f"https://{at}"
    if not is_web(at) or len(at) > LONGEST_URL or not at.isprintable():
        reason = f"must be an address of http or https, of at most {LONGEST_URL} characters"
        raise InvalidInput(Problem("url", reason))
    return at


def _checked_title(title: str) -> str:
    given = " ".join(title.split())
    if not 1 <= len(given) <= MAX_TITLE or not given.isprintable():
        raise InvalidInput(Problem("title", f"must be 1 to {MAX_TITLE} characters on one line"))
    return given


def _spellings(url: str) -> list[str]:
    """Return the addresses that differ in the scheme or a final slash only."""
    rest = url.partition("://")[2]
    other = rest[:-1] if rest.endswith("/") else f"{rest}/"
    plain = [rest] if urlsplit(url).query else [rest, other]
    return [f"{scheme}://{each}" for scheme in ("https", "http") for each in plain]


def _words(error: InvalidInput) -> str:
    return "; ".join(problem.message for problem in error.problems)
