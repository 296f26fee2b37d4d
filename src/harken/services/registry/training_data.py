"""Reads the training data of one database: the log, slates, and descriptions of K-Blocks.

It respects the readers' choices. Events from before a reader reset their profile, and all events of
a reader who switched personalisation off, are read as a guest's: they count for popularity, and the
model learns nothing about this reader. The slates of such a time are left out, and so is what is
set aside: events in quarantine, and the slates of readers in quarantine.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import GUEST
from harken.domain.feeds import READER_FEEDS
from harken.domain.slates import SIMILAR_FEED
from harken.domain.stored_kblock import folder, labels
from harken.domain.times import LATEST_TIME, FutureItems
from harken.models.types import utc_micros
from harken.services.kblocks import dates
from harken.services.learning.impressions import INTEREST, Event
from harken.services.learning.point_in_time import Description, Slate
from harken.services.learning.training_plan import TrainingData
from harken.services.readers.affinities import AffinitySettings
from harken.services.readers.history import Touch
from harken.services.readers.item_attributes import LETTERS_PER_WORD
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.quarantines import counts, has_counting_reader, left_out
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.readers import USERS
from harken.services.record.slates import SLATES
from harken.services.record.transaction import LOG
from harken.services.texts.terms import LETTERS, terms_of
from harken.unreadable_rows import parsed

PAGE = 2_000
UNRANKED_FEEDS = (SIMILAR_FEED, *READER_FEEDS)
"""Feeds whose pages show no choice of a ranking."""
FOR_EVER = 2**63


class TrainingRange(NamedTuple):
    """Selects the part of a database to train on.

    Events before `since` are left out. The log's last `measured` is for measuring. Slates are those
    of the `learned` before that, at most the latest `most`.
    """

    measured: timedelta
    learned: timedelta
    most: int
    since: datetime | None = None


class TrainingDataStore:
    """Reads training data; `future` says how to treat K-Blocks with a date in the future.

    `affinities` are the settings that serve readers.
    """

    def __init__(
        self,
        database: Database,
        future: FutureItems = FutureItems.SHOW,
        affinities: AffinitySettings | None = None,
    ) -> None:
        self._database = database
        self._future = future
        self._affinities = affinities or AffinitySettings()

    async def read(self, extent: TrainingRange, shown: Iterable[str] = ()) -> TrainingData:
        """Return the data of one snapshot, in the order of time.

        `shown` are K-Blocks that are described though nobody may have touched them. Raises
        DatabaseUnavailable.
        """
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            withheld = await withheld_readers(connection)
            ids = _Ids()
            events = await _events(connection, extent, withheld, ids)
            slates = await _slates(connection, extent, ids)
            described = {*ids, *shown}
            descriptions = await _descriptions(connection, described, self._future)
            aside = await left_out(connection)
        return TrainingData(events, slates, descriptions, aside._asdict(), self._affinities)


class _Ids(dict[str, str]):
    """Interns ids, since a log repeats the same ids many times."""

    def __missing__(self, key: str) -> str:
        self[key] = key
        return key


async def withheld_readers(connection: AsyncConnection) -> dict[str, int]:
    """Return the time until which each reader counts as a guest (microseconds since 1970)."""
    columns = USERS.c
    kept = select(columns.user_id, columns.personalized, utc_micros(columns.profile_since))
    rows = await connection.execute(
        kept.where(or_(not_(columns.personalized), columns.profile_since.is_not(None)))
    )
    return {
        user_id: (since or 0) if personalized else FOR_EVER for user_id, personalized, since in rows
    }


async def _events(
    connection: AsyncConnection, extent: TrainingRange, withheld: Mapping[str, int], ids: _Ids
) -> list[Event]:
    columns, events = LOG.c, []
    wanted: Select[Any] = select(
        columns.user_id, columns.kblock_id, columns.action, columns.interaction_type,
        columns.dwell_time_ms, utc_micros(columns.created_at), columns.session_id,
        columns.request_id,
    ).where(counts(LOG)).order_by(columns.created_at, columns.id)  # fmt: skip
    begins = [at for at in (extent.since, await complete_since(connection)) if at is not None]
    if begins:
        wanted = wanted.where(columns.created_at >= max(begins))
    rows = await connection.stream(wanted)
    async for page in rows.partitions(PAGE):
        for user_id, kblock_id, action, kind, dwell, at, session_id, request_id in page:
            if at is None:  # the stored time is invalid
                continue
            own = ids[user_id] if at >= withheld.get(user_id, 0) else GUEST
            touch = Touch(own, ids[kblock_id], ids[action], kind and ids[kind], dwell, at)
            events.append(Event(touch, session_id, request_id))
    return events


async def _slates(connection: AsyncConnection, extent: TrainingRange, ids: _Ids) -> list[Slate]:
    latest: datetime | None = (
        await connection.execute(
            select(func.max(LOG.c.created_at)).where(LOG.c.created_at <= LATEST_TIME, counts(LOG))
        )
    ).scalar_one()
    if latest is None:
        return []
    cut = latest - extent.measured
    since = max(cut - extent.learned, extent.since or cut - extent.learned)
    found = await connection.execute(_shown(since, cut).limit(extent.most))
    shown = ((row, parsed(row.shown, list)) for row in reversed(found.all()))
    return [
        Slate(row[0], ids[row[1]], tuple(ids[each] for each in items), *row[3:])
        for row, items in shown
        if items is not None
    ]


def _shown(since: datetime, until: datetime) -> Select[Any]:
    """Select slates of named readers in which something was viewed or engaged with, latest first.

    Slates of similar K-Blocks are left out: they do not show what a reader wants to see.
    """
    columns = SLATES.c
    led_to = select(LOG.c.request_id).where(
        LOG.c.request_id.is_not(None), LOG.c.action.in_(sorted(INTEREST)),
        LOG.c.created_at >= since, LOG.c.created_at < until, counts(LOG),
    )  # fmt: skip
    withheld = select(USERS.c.user_id).where(
        USERS.c.user_id == columns.user_id,
        or_(not_(USERS.c.personalized), USERS.c.profile_since > columns.created_at),
    )
    slates: Select[Any] = (
        select(
            columns.request_id, columns.user_id, columns["items"].label("shown"), columns.position,
            utc_micros(columns.created_at),
        )
        .where(
            and_(columns.created_at >= since, columns.created_at < until),
            columns.user_id != GUEST,
            columns.feed.not_in(UNRANKED_FEEDS),
            columns.request_id.in_(led_to),
            not_(withheld.exists()),
            has_counting_reader(SLATES),
        )
        .order_by(columns.created_at.desc(), columns.request_id.desc())
    )  # fmt: skip
    return slates


async def _descriptions(
    connection: AsyncConnection, wanted: Iterable[str], future: FutureItems
) -> dict[str, Description]:
    """Return the descriptions of the K-Blocks in `wanted`."""
    found: dict[str, Description] = {}
    ids = frozenset(wanted)
    columns = KBLOCKS.c
    described: Select[Any] = select(
        columns.id, columns.author, columns.tags, columns.principles, columns.layer, columns.path,
        columns.source, func.length(columns.content), dates.created(KBLOCKS, future),
        utc_micros(columns.received_at), columns.title, func.substr(columns.content, 1, LETTERS),
    )  # fmt: skip
    rows = await connection.stream(described)
    async for page in rows.partitions(PAGE):
        some = [row for row in page if row[0] in ids]
        found |= await asyncio.to_thread(_described, some)
    return found


def _described(rows: Iterable[Sequence[Any]]) -> dict[str, Description]:
    found: dict[str, Description] = {}
    for kblock_id, author, tags, principles, layer, path, source, letters, *others in rows:
        created, received, title, text = others
        found[kblock_id] = Description(
            author,
            labels(tags) or (),
            labels(principles) or (),
            layer,
            folder(path),
            source,
            (letters or 0) // LETTERS_PER_WORD,
            dates.appeared(created, received, source),
            terms_of(title or "", text or ""),
        )
    return found
