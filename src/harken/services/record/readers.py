"""The store of readers: their principles, preferences and dismissals."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, literal, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import BigInteger

from harken.database import Database, Kind, Prepared, is_in_list, translated
from harken.domain.exploration import MOST_PER_LABEL
from harken.domain.feedback import GUEST
from harken.domain.feeds import Field
from harken.domain.preferences import Preferences
from harken.domain.stored_kblock import labels
from harken.domain.times import LATEST_TIME, from_micros
from harken.errors import InvalidInput, Problem
from harken.models import FeedUser
from harken.models.types import table, utc_micros, utc_now
from harken.services.record.admission import rules_token
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.batched_lookups import BatchedLookups
from harken.services.record.comments.store import CommentStore
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.reading.contradicting import ContradictionStore
from harken.services.record.reading.store import ReadingStore
from harken.services.record.transaction import DISMISSALS
from harken.unreadable_rows import Unreadable, parsed

USERS = table(FeedUser)
MOST_LISTED = 1_000
_PLAIN = ("personalized", "hide_read", "most_per_source")
"""The preferences that are stored as they are; the others are JSON."""


class ReaderContext(NamedTuple):
    """The data of a reader that a feed needs."""

    principles: tuple[str, ...] = ()
    hidden: NDArray[np.int64] = np.zeros(0, np.int64)  # numbers of dismissed K-Blocks
    personalized: bool = True
    weights: Mapping[str, float] = MappingProxyType({})  # the weights that they set
    muted_tags: tuple[str, ...] = ()
    muted_authors: tuple[str, ...] = ()
    muted_sources: tuple[str, ...] = ()  # their keys
    most_per_source: int | None = None
    profile_since: datetime | None = None  # earlier interactions are not used for them
    hide_read: bool = False
    read: NDArray[np.int64] = np.zeros(0, np.int64)  # numbers of what they read, if it is hidden
    # How much they want of a label, as they set it.
    interests: Mapping[str, Mapping[str, float]] = MappingProxyType({})

    @property
    def muted(self) -> dict[Field, tuple[str, ...]]:
        """The labels by which K-Blocks are hidden from them, by field."""
        return {
            Field.TAG: self.muted_tags,
            Field.AUTHOR: self.muted_authors,
            Field.SOURCE: self.muted_sources,
        }

    @property
    def source_weights(self) -> dict[str, float]:
        """How much each source weighs in caps, by its name: twice for each step of interest."""
        return {name: 2.0**wanted for name, wanted in self.interests.get("sources", {}).items()}

    @property
    def left_out(self) -> NDArray[np.int64]:
        """The numbers of K-Blocks that feeds leave out: what was dismissed, or read and hidden."""
        return np.concatenate([self.hidden, self.read]) if len(self.read) else self.hidden

    @property
    def preferences(self) -> Preferences:
        """What they set, as `Preferences`."""
        return Preferences(
            personalized=self.personalized,
            weights=dict(self.weights),
            muted_tags=self.muted_tags,
            muted_authors=self.muted_authors,
            muted_sources=self.muted_sources,
            most_per_source=self.most_per_source,
            hide_read=self.hide_read,
            interests={kind: dict(names) for kind, names in self.interests.items()},
        )

    def by_hand(self) -> "ReaderContext":
        """Return the context for feeds of what the reader chose: only dismissals hide."""
        return self._replace(
            read=self.read[:0], muted_tags=(), muted_authors=(), muted_sources=(),
            most_per_source=None,
        )  # fmt: skip


@cache
def _asked(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    """Select the rows of readers, and the number of each K-Block that they dismissed.

    The reader is the first column of each row, the number the last.
    """
    columns = USERS.c
    kept = (
        columns.principles, columns.personalized, columns.weights, columns.muted_tags,
        columns.muted_authors, utc_micros(columns.profile_since), columns.hide_read,
        columns.interests, columns.muted_sources, columns.most_per_source,
    )  # fmt: skip

    def is_asked(column: Any) -> Any:
        return is_in_list(column, "user_ids", postgresql=is_postgresql)

    declared = select(columns.user_id, *kept, literal(None, BigInteger)).where(
        is_asked(columns.user_id)
    )
    hidden = (
        select(
            DISMISSALS.c.user_id, *(literal(None, column.type) for column in kept), KBLOCKS.c.number
        )
        .join(DISMISSALS, DISMISSALS.c.kblock_id == KBLOCKS.c.id)
        .where(is_asked(DISMISSALS.c.user_id))
    )
    return Prepared(union_all(declared, hidden))


def _context(rows: Sequence[Sequence[Any]]) -> tuple[ReaderContext, bool]:
    """Make a context of a reader's rows, and tell whether all of it could be read."""
    hidden = np.array([row[-1] for row in rows if row[-1] is not None], np.int64)
    kept = next((row for row in rows if row[-1] is None), None)
    if kept is None:
        return ReaderContext(hidden=hidden), True
    (
        _user_id, principles, personalized, weights, muted_tags, muted_authors, since, hide_read,
        interests, muted_sources, most_per_source, _number,
    ) = kept  # fmt: skip
    lists = [labels(text) for text in (principles, muted_tags, muted_authors, muted_sources)]
    weighed = _weighed(weights, interests)
    context = ReaderContext(
        lists[0] or (),
        hidden,
        bool(personalized),
        {} if weighed is None else weighed.weights,
        lists[1] or (),
        lists[2] or (),
        lists[3] or (),
        _cap(most_per_source),
        None if since is None else from_micros(since),
        hide_read=bool(hide_read),
        interests={} if weighed is None else weighed.interests,
    )
    return context, None not in lists and weighed is not None


def _cap(most: object) -> int | None:
    return most if isinstance(most, int) and 1 <= most <= MOST_PER_LABEL else None


def _weighed(weights: object, interests: object) -> Preferences | None:
    """Parse the weights of signals and of labels; returns None if they are not valid."""
    try:
        return Preferences.parse(
            {"weights": parsed(weights, dict), "interests": parsed(interests, dict)}
        )
    except (InvalidInput, TypeError):
        return None


def _columns(preferences: Preferences) -> dict[str, Any]:
    """Return the values of the columns that preferences are stored in."""
    values = preferences.model_dump()
    plain = {name: values.pop(name) for name in _PLAIN}
    return plain | {name: _text(value) for name, value in values.items()}


async def _nothing(_connection: AsyncConnection) -> None:
    pass


class ReaderStore:
    """The readers of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)
        self.reading = ReadingStore(database)
        """What the readers have read and saved."""
        self.comments = CommentStore(database)
        self.contradictions = ContradictionStore(database)
        self._unreadable = Unreadable()
        self._contexts: BatchedLookups[str, ReaderContext] = BatchedLookups(self._read_contexts)

    async def context(self, user_id: str) -> ReaderContext:
        """Return the data of a reader that a feed needs; empty for a guest.

        Pages that wait at the same time share a query.
        """
        if user_id == GUEST:
            return ReaderContext()
        context = await self._contexts.get(user_id) or ReaderContext()
        if not context.hide_read:
            return context
        return context._replace(read=await self.reading.read_numbers(user_id))

    async def _read_contexts(self, user_ids: list[str]) -> dict[str, ReaderContext]:
        rows: dict[str, list[Sequence[Any]]] = {}
        for row in await self._database.read(*self._question(user_ids)):
            rows.setdefault(row[0], []).append(row)
        contexts = {user_id: _context(some) for user_id, some in rows.items()}
        for user_id, (_, is_whole) in contexts.items():
            if not is_whole:
                self._unreadable.name(
                    "reader", user_id, "a part of their principles or preferences; set them again"
                )
        return {user_id: context for user_id, (context, _) in contexts.items()}

    def _question(self, user_ids: Sequence[str]) -> tuple[Prepared, dict[str, Any]]:
        statement = _asked(self._database.is_postgresql)
        return statement, {"user_ids": self._database.as_list(user_ids)}

    async def principles(self, user_id: str) -> list[str]:
        """Return the principles that a reader declared."""
        return list((await self.context(user_id)).principles)

    async def declare(self, user_id: str, principles: Sequence[str]) -> None:
        """Set the principles of a reader. Raises InvalidInput, Erased or DatabaseUnavailable."""
        await self._set(user_id, {"principles": _text(list(principles))})

    async def preferences(self, user_id: str) -> Preferences:
        """Return the preferences of a reader."""
        return (await self.context(user_id)).preferences

    async def prefer(self, user_id: str, preferences: Preferences) -> None:
        """Replace the preferences of a reader.

        Raises InvalidInput, Erased or DatabaseUnavailable.
        """
        await self._set(user_id, _columns(preferences))

    async def amend(self, user_id: str, amended: Callable[[Preferences], Preferences]) -> None:
        """Replace the preferences of a reader by what a function makes of them.

        What others change meanwhile is not lost: they wait. Raises InvalidInput, Erased,
        DatabaseUnavailable, or what the function raises.
        """

        async def change(connection: AsyncConnection) -> None:
            rows = await self._database.read_within(connection, *self._question([user_id]))
            values = _columns(amended(_context(rows)[0].preferences))
            own = update(USERS).where(USERS.c.user_id == user_id)
            await connection.execute(own.values(values))

        await self._set(user_id, {}, change)

    async def reset_profile(self, user_id: str) -> None:
        """Exclude all interactions of a reader until now from personalisation.

        Raises InvalidInput, Erased or DatabaseUnavailable.
        """
        await self._set(user_id, {"profile_since": utc_now()})

    async def _set(
        self, user_id: str, values: Mapping[str, Any],
        then: Callable[[AsyncConnection], Awaitable[None]] = _nothing,
    ) -> None:  # fmt: skip
        """Set some columns of a reader's row; the others do not change.

        `then` is called in the same transaction, in which the row is locked.
        """
        if user_id == GUEST:
            raise InvalidInput(
                Problem("id", f"{GUEST} stands for all unknown readers; give a reader's own id")
            )
        insert: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        new = {**values, "updated_at": utc_now()}
        whole = {"user_id": user_id, "principles": "[]", "created_at": utc_now(), **new}
        row = select(
            *(
                value if isinstance(value, utc_now) else literal(value, USERS.c[name].type)
                for name, value in whole.items()
            )
        )
        statement = insert(USERS).from_select(list(whole), row.where(rules_token.is_current()))
        statement = statement.on_conflict_do_update(
            index_elements=["user_id"],
            set_={name: statement.excluded[name] for name in new},
        )

        async def write(token: str) -> bool:
            with translated():
                async with self._database.transaction(Kind.WRITE) as connection:
                    done = await connection.execute(statement, {rules_token.PARAMETER: token})
                    if not done.rowcount > 0:
                        return False
                    await then(connection)
                    return True

        await self._tombstones.admit(user_id, write)

    async def dismissals(self, user_id: str) -> list[tuple[str, datetime]]:
        """Return the dismissed K-Blocks of a reader with the times, latest first, up to 1,000."""
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(DISMISSALS.c.kblock_id, DISMISSALS.c.dismissed_at)
                .where(DISMISSALS.c.user_id == user_id, DISMISSALS.c.dismissed_at <= LATEST_TIME)
                .order_by(DISMISSALS.c.dismissed_at.desc(), DISMISSALS.c.kblock_id)
                .limit(MOST_LISTED)
            )
            return [
                (row.kblock_id, row.dismissed_at) for row in found if row.dismissed_at is not None
            ]

    async def undo_dismissal(self, user_id: str, kblock_id: str) -> bool:
        """Undo the dismissal of a K-Block; returns False if it was not dismissed."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                done = await connection.execute(
                    delete(DISMISSALS).where(
                        DISMISSALS.c.user_id == user_id, DISMISSALS.c.kblock_id == kblock_id
                    )
                )
                return done.rowcount > 0


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
