"""The store of what readers have read and saved.

A mark of reading is no event: it adds no view and no engagement. A save is an event, see `effects`;
only its undoing is written here.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import bindparam, delete, func, literal, not_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import String

from harken.database import Database, Kind, Prepared, is_in_list, translated
from harken.domain.feedback import FeedbackAction
from harken.models import FeedInteraction, FeedRead
from harken.models.types import table, utc_micros, utc_now
from harken.services.record.admission import rules_token
from harken.services.record.admission.subjects import check_person
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.reading.effects import SAVES

LOG, READS = table(FeedInteraction), table(FeedRead)

MOST_HELD = 10_000
"""How many saved or read K-Blocks a feed of them has: the latest."""

Numbers = NDArray[np.int64]


class Held(NamedTuple):
    """K-Blocks that were read or saved: their numbers, latest first, and when (microseconds)."""

    numbers: Numbers
    at: Numbers


class States(NamedTuple):
    """Which of some K-Blocks a reader has read, and which they saved, by id."""

    read: frozenset[str] = frozenset()
    saved: frozenset[str] = frozenset()


NOTHING = Held(np.zeros(0, np.int64), np.zeros(0, np.int64))


class ReadingStore:
    """Stores and lists the K-Blocks that the readers of one database have read and saved."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)

    async def mark_read(
        self, user_id: str, kblock_ids: Collection[str], *, again: bool = False
    ) -> list[str]:
        """Mark K-Blocks as read, and return the ids of those that were unread.

        Those that do not exist, and those whose log was erased, are left out. With `again`, a
        K-Block that was read before comes first in the history; it is returned, too. Raises
        InvalidInput for `guest`, Erased or DatabaseUnavailable.
        """
        check_person(user_id)
        changed: list[str] = []

        async def write(token: str) -> bool:
            ids = [each for each in kblock_ids if not self._tombstones.refuses(user_id, each)]
            bound = {"user_id": user_id, "ids": self._database.as_list(ids)}
            statement = _mark(self._database.is_postgresql, again)
            with translated():
                async with self._database.transaction(Kind.WRITE) as connection:
                    bound[rules_token.PARAMETER] = token
                    changed[:] = (await connection.execute(statement, bound)).scalars()
                    if changed:
                        return True
                    # A token is never used again: if it is current now, it was so before.
                    current = select(rules_token.is_current())
                    bound = {rules_token.PARAMETER: token}
                    return bool((await connection.execute(current, bound)).scalar_one())

        await self._tombstones.admit(user_id, write)
        return sorted(changed)

    async def mark_unread(self, user_id: str, kblock_ids: Collection[str]) -> list[str]:
        """Mark K-Blocks as unread, and return the ids of those that were read.

        Raises InvalidInput for `guest`, or DatabaseUnavailable.
        """
        check_person(user_id)
        bound = {"user_id": user_id, "ids": self._database.as_list(kblock_ids)}
        statement = _unmark(self._database.is_postgresql)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                return sorted((await connection.execute(statement, bound)).scalars())

    async def said_contradiction(self, user_id: str, interaction_id: str) -> bool:
        """Tell whether an event of the log is a contradiction that this reader reported."""
        bound = {"user_id": user_id, "id": interaction_id}
        return bool(await self._database.read(_CONTRADICTION, bound))

    async def unsave(self, user_id: str, kblock_id: str) -> bool:
        """Remove a K-Block from what a reader saved; returns whether it was saved."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                gone = await connection.execute(
                    delete(SAVES).where(SAVES.c.user_id == user_id, SAVES.c.kblock_id == kblock_id)
                )
                return gone.rowcount > 0

    async def read_numbers(self, user_id: str) -> Numbers:
        """Return the numbers of all K-Blocks that a reader has read; the shape is K-Blocks."""
        statement = _all_numbers(self._database.is_postgresql)
        [[found]] = await self._database.read(statement, {"user_id": user_id})
        numbers = from_json(found) if isinstance(found, str) else found or []
        return np.array(numbers, np.int64)

    async def history(self, user_id: str) -> Held:
        """Return what a reader has read, latest first, at most 10,000."""
        return await self._held(_HISTORY, user_id)

    async def saved(self, user_id: str) -> Held:
        """Return what a reader saved, latest first, at most 10,000."""
        return await self._held(_SAVED, user_id)

    async def _held(self, statement: Prepared, user_id: str) -> Held:
        rows = await self._database.read(statement, {"user_id": user_id})
        known = [(number, at) for number, at in rows if at is not None]
        if not known:
            return NOTHING
        numbers, times = np.array(known, np.int64).T
        return Held(numbers, times)

    async def states(self, user_id: str, kblock_ids: Sequence[str]) -> States:
        """Return which of some K-Blocks a reader has read and saved."""
        if not kblock_ids:
            return States()
        bound = {"user_id": user_id, "ids": self._database.as_list(kblock_ids)}
        rows = await self._database.read(_states(self._database.is_postgresql), bound)
        found: dict[str, set[str]] = {READ: set(), SAVED: set()}
        for kblock_id, state in rows:
            found[state].add(kblock_id)
        return States(frozenset(found[READ]), frozenset(found[SAVED]))


READ, SAVED = "read", "saved"
_USER: Any = bindparam("user_id", type_=String)


@cache
def _mark(is_postgresql: bool, again: bool) -> Any:  # noqa: FBT001 — keys of the cache
    insert: Any = postgresql.insert if is_postgresql else sqlite.insert
    rows = (
        select(_USER, KBLOCKS.c.number, KBLOCKS.c.id, utc_now())
        .where(
            is_in_list(KBLOCKS.c.id, "ids", postgresql=is_postgresql),
            not_(KBLOCKS.c.deleted),
            rules_token.is_current(),
        )
        .order_by(KBLOCKS.c.number)
    )
    names = ["user_id", "number", "kblock_id", "read_at"]
    statement = insert(READS).from_select(names, rows)
    if again:
        statement = statement.on_conflict_do_update(
            index_elements=list(READS.primary_key), set_={"read_at": statement.excluded.read_at}
        )
    else:
        statement = statement.on_conflict_do_nothing()
    return statement.returning(READS.c.kblock_id)


@cache
def _unmark(is_postgresql: bool) -> Any:  # noqa: FBT001 — the key of the cache
    # By number, which the key has.
    named = select(KBLOCKS.c.number).where(
        is_in_list(KBLOCKS.c.id, "ids", postgresql=is_postgresql)
    )
    own = READS.c.user_id == _USER, READS.c.number.in_(named)
    return delete(READS).where(*own).returning(READS.c.kblock_id)


@cache
def _all_numbers(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    collect = func.array_agg if is_postgresql else func.json_group_array
    return Prepared(select(collect(READS.c.number)).where(READS.c.user_id == _USER))


_CONTRADICTION = Prepared(
    select(LOG.c.id).where(
        LOG.c.id == bindparam("id", type_=String),
        LOG.c.user_id == _USER,
        LOG.c.action == FeedbackAction.CONTRADICT.value,
    )
)
_HISTORY = Prepared(
    select(READS.c.number, utc_micros(READS.c.read_at))
    .where(READS.c.user_id == _USER)
    .order_by(READS.c.read_at.desc())
    .limit(MOST_HELD)
)
_SAVED = Prepared(
    select(KBLOCKS.c.number, utc_micros(SAVES.c.saved_at))
    .join(KBLOCKS, KBLOCKS.c.id == SAVES.c.kblock_id)
    .where(SAVES.c.user_id == _USER, not_(KBLOCKS.c.deleted))
    .order_by(SAVES.c.saved_at.desc())
    .limit(MOST_HELD)
)


@cache
def _states(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    def named(column: Any) -> Any:
        return is_in_list(column, "ids", postgresql=is_postgresql)

    read = (
        select(KBLOCKS.c.id, literal(READ, String))
        .join(READS, READS.c.number == KBLOCKS.c.number)
        .where(READS.c.user_id == _USER, named(KBLOCKS.c.id))
    )
    saved = select(SAVES.c.kblock_id, literal(SAVED, String)).where(
        SAVES.c.user_id == _USER, named(SAVES.c.kblock_id)
    )
    return Prepared(union_all(read, saved))
