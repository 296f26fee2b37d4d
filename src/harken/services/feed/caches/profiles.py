"""The affinities and features of all readers, kept up to date with the log of one database.

    all readers    the newest events of the log at first use, then the events of this process and,
                   at each refresh, those of other processes
    this reader    their own last events, which are read with every request of theirs

So a reader's own events count at their next request, whichever process recorded them. Events of
other readers in other processes count within `MAX_AGE_SECONDS`, unless they are reported late. When
a reader is erased, or events are set aside or released, the state is rebuilt with the first request
after `MAX_AGE_SECONDS`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from weakref import WeakKeyDictionary

from harken.database import Database
from harken.domain.feedback import GUEST, LogEntry
from harken.domain.times import FutureItems, micros
from harken.event_loop import Interruptible
from harken.services.features.state import Features
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.caches.descriptions import Descriptions
from harken.services.feed.caches.log_reads import LogReads
from harken.services.feed.caches.texts import Texts
from harken.services.index.index import Index, Rows
from harken.services.index.rows import IndexRow
from harken.services.learning.part_weights import PartWeights
from harken.services.readers.affinities import Affinities, AffinitySettings
from harken.services.readers.history import Touch
from harken.services.record.persistence import FeedFeedbackPersistence

EVENTS = 50_000
"""The state is built from so many of the newest events."""
MOST_EVENTS = 4 * EVENTS
"""After so many events the state is rebuilt, which bounds its size."""
MAX_AGE_SECONDS = 1.0
OVERLAP = timedelta(seconds=30)
MOST_PENDING = 5_000
MOST_FOLLOWED = 20_000
# The K-Blocks of so many events are described by one query.
TURN = 2_000
LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass
class _Last:
    """The ids of a reader's last events that the state includes, the latest first."""

    ids: list[str]
    since: datetime | None
    latest: datetime
    most: int

    @classmethod
    def of(cls, entries: list[LogEntry], since: datetime | None, most: int) -> Self:
        latest = entries[-1].created_at if entries else LONG_AGO
        return cls([entry.id for entry in reversed(entries)], since, latest, most)

    def add(self, entry: LogEntry) -> bool:
        """Add an event; returns False, and adds nothing, unless it is later than a known one."""
        if not self.ids or (entry.created_at, entry.id) <= (self.latest, self.ids[0]):
            return False
        self.latest = entry.created_at
        self.ids = [entry.id, *self.ids[: self.most - 1]]
        return True


class Profiles:
    """Keeps a `Features` up to date; belongs to the event loop that first used it."""

    def __init__(
        self,
        database: Database,
        record: FeedFeedbackPersistence,
        clock: Callable[[], datetime],
        settings: AffinitySettings,
        catalogue: Catalogue,
        future: FutureItems = FutureItems.SHOW,
    ) -> None:
        self.settings = settings
        self._catalogue = catalogue
        self._future = future
        self._breaks = 0
        self._tombstones = record.tombstones
        self._token = ""
        self._database = database
        self._log = LogReads(database, record.tombstones)
        self.texts = Texts(database)
        self._clock = clock
        self._turns = asyncio.Lock()
        self._state: Features | None = None
        self._is_whole = False  # whether all below fits the state; not while another is built
        self._descriptions: WeakKeyDictionary[Features, Descriptions] = WeakKeyDictionary()
        self._weights: PartWeights | None = None
        self._forget()
        record.subscribe(self._note)

    def _forget(self) -> None:
        self._is_whole = False
        self._pending: list[LogEntry] = []
        self._is_behind = False
        self._observed = 0
        self._looked = float("-inf")
        self._looked_at = LONG_AGO
        # Ids of events: those that the state includes, and those of them that only its affinities
        # include, and its traces not yet.
        self._seen: set[str] = set()
        self._recalled: set[str] = set()
        self._own: dict[str, _Last] = {}

    def _note(self, entries: Sequence[LogEntry]) -> None:
        # While the first state is built, too: what it is built from may be read already.
        if self._state is None and not self._turns.locked():
            return
        self._pending.extend(entries)
        if len(self._pending) > MOST_PENDING:
            self._is_behind = True
            self._pending.clear()

    async def fresh(self, user_id: str, since: datetime | None = None) -> Features:
        """Return the state, including all events of a reader since their profile was reset.

        `since` is when that was. Raises DatabaseUnavailable.
        """
        if self._is_old():
            await self._catalogue.fresh()  # it detects whether the database lost data
        while self._is_stale():
            async with self._turns:
                if self._is_old():
                    await self._tombstones.refresh()
                if self._needs_rebuild():
                    await self._load()
                elif self._state is not None and self._is_stale():
                    await self._follow(self._state)
                break
        assert self._state is not None  # noqa: S101 — for the type checker
        # The state that has the reader's events is returned, though another may be built meanwhile.
        state = self._state if user_id == GUEST else await self._recall(user_id, since)
        if state.affinities.is_known(user_id):
            await self.texts.fresh((await self._catalogue.fresh()).revision)
        return state

    async def warm(self) -> None:
        """Load what the next personal page would wait for. Raises DatabaseUnavailable."""
        await self.fresh(GUEST)
        await self.texts.fresh((await self._catalogue.fresh()).revision)

    async def close(self) -> None:
        """Stop what is read in the background."""
        await self.texts.close()

    def _is_stale(self) -> bool:
        return self._needs_rebuild() or bool(self._pending) or self._is_old()

    def _is_old(self) -> bool:
        is_due = time.monotonic() - self._looked > MAX_AGE_SECONDS
        return is_due or self._looked < self._catalogue.wanted

    def _needs_rebuild(self) -> bool:
        return (
            not self._is_whole
            or self._observed > MOST_EVENTS
            or self._breaks != self._catalogue.breaks
            or self._token != self._tombstones.token
        )

    async def _load(self) -> None:
        """Build another state. If that fails, the next request tries again."""
        self._forget()
        breaks = self._catalogue.breaks
        await self._tombstones.refresh()
        token = self._tombstones.token
        if breaks != self._breaks:  # the database lost data: other texts may have the numbers now
            await self.texts.close()
            self.texts = Texts(self._database)
        state = Features(Affinities(self.settings, self.texts.vectors))
        descriptions = Descriptions(self._database, state, self._future)
        weights = PartWeights(state.affinities)
        looked, looked_at = time.monotonic(), self._clock()
        entries = await self._log.newest(EVENTS)
        resets = await self._log.resets()
        loop = Interruptible()
        for start in range(0, len(entries), TURN):
            some = entries[start : start + TURN]
            await descriptions.of_ids({entry.kblock_id for entry in some})
            for entry in some:
                await loop.pause()
                touch = Touch.of(entry)
                if micros(entry.created_at) < resets.get(entry.user_id, 0):
                    touch = touch._replace(user_id=GUEST)
                weights.observe(touch, from_page=entry.request_id is not None)
                state.see(touch)
                await _learn_if_due(weights)
        self._note_seen(entries)
        self._looked, self._looked_at = looked, looked_at
        self._breaks, self._token = breaks, token
        self._descriptions[state] = descriptions
        self._state, self._weights, self._is_whole = state, weights, True

    async def _follow(self, state: Features) -> None:
        """Add new events to the state, each once. If that fails, the next request goes on."""
        pending, self._pending = self._pending, []
        was_behind, self._is_behind = self._is_behind, False
        looked = time.monotonic(), self._clock()
        is_old = self._is_old() or was_behind
        try:
            new = self._counting(pending)
            if is_old:
                # The clock may have been set back.
                since = min(self._looked_at, looked[1]) - OVERLAP
                new += await self._log.unknown_since(since, MOST_FOLLOWED, self._is_included)
            unseen = {entry.id: entry for entry in new if entry.id not in self._seen}
            await self._descriptions[state].of_ids({entry.kblock_id for entry in unseen.values()})
            await self._see(state, new, unseen.values())
        except BaseException:
            self._pending = pending + self._pending
            self._is_behind |= was_behind
            raise
        if is_old:
            self._looked, self._looked_at = looked

    def _is_included(self, entry_id: str) -> bool:
        """Tell whether the state includes an event, and its traces, too."""
        return entry_id in self._seen and entry_id not in self._recalled

    def _counting(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        """Return the entries that are neither erased nor set aside."""
        refused = self._tombstones.refused(entries)
        there = [entry for place, entry in enumerate(entries) if place not in refused]
        return self._tombstones.quarantines.counting(there)

    async def _see(
        self, state: Features, new: Iterable[LogEntry], unseen: Iterable[LogEntry]
    ) -> None:
        for entry in new:
            if entry.id in self._recalled:
                self._recalled.remove(entry.id)
                state.trace(Touch.of(entry), is_recalled=True)
        loop = Interruptible()
        for entry in unseen:
            await loop.pause()
            # Nothing is awaited within an event, so a cancelled request leaves none half added.
            touch = Touch.of(entry)
            if self._weights is not None:
                self._weights.observe(touch, from_page=entry.request_id is not None)
            self._note_seen([entry])
            state.see(touch)
            if (last := self._own.get(entry.user_id)) is not None and not last.add(entry):
                del self._own[entry.user_id]  # to be read again
            if self._weights is not None:
                await _learn_if_due(self._weights)

    def _note_seen(self, entries: Iterable[LogEntry]) -> None:
        # There is no need to forget ids: after `MOST_EVENTS` the state is rebuilt.
        before = len(self._seen)
        self._seen.update(entry.id for entry in entries)
        self._observed += len(self._seen) - before

    async def _recall(self, user_id: str, since: datetime | None) -> Features:
        """Rebuild a reader's history from their last events, unless these are the known ones.

        Returns the state that has them.
        """
        own = user_id, since or LONG_AGO, self.settings.touches
        ids = await self._log.ids_of_reader(*own)
        last, state = self._own.get(user_id), self._state
        assert state is not None  # noqa: S101 — for the type checker: it is never taken away
        if not ids and last is None and not state.affinities.interactions(user_id):
            return state  # nothing is kept of a reader without events
        # The joined texts are compared, since an id may contain a comma.
        if last is not None and last.since == since and ",".join(last.ids) == ids:
            return state
        async with self._turns:
            state = self._state or state  # another may have been built meanwhile
            entries = await self._log.of_reader(*own)
            await self._descriptions[state].of_ids({entry.kblock_id for entry in entries})
            self._recalled |= {each.id for each in entries if each.id not in self._seen}
            self._note_seen(entries)
            touches = [Touch.of(entry) for entry in entries]
            state.recall(user_id, touches, None if since is None else micros(since))
            self._own[user_id] = _Last.of(entries, since, self.settings.touches)
            return state

    # The content of K-Blocks

    def numbers(self, state: Features, places: Rows) -> Rows:
        """Return the numbers of K-Blocks by their places; unknown ones are left out."""
        return self._descriptions[state].numbers(places)

    async def places(self, state: Features, index: Index, rows: Rows) -> Rows:
        """Return the places of rows' K-Blocks, after these are described to the state."""
        return await self._descriptions[state].places(index.number[rows], index.version[rows])

    async def describe(self, state: Features, entries: Iterable[IndexRow]) -> None:
        """Describe the present versions of K-Blocks to the state."""
        await self._descriptions[state].of_rows(entries)


async def _learn_if_due(weights: PartWeights) -> None:
    if weights.are_due:
        await asyncio.to_thread(weights.learn)
