"""Attention scores of all readers and of single readers; concurrent lookups share a query."""

import json
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from harken.database import Database, Prepared, is_in_list
from harken.domain.attention import attention_score, check_prior, personal_attention
from harken.domain.feedback import GUEST, FeedbackAction
from harken.domain.fields import is_kept_identifier
from harken.services.record.admission.quarantines import counts
from harken.services.record.batched_lookups import BatchedLookups
from harken.services.record.readers import USERS
from harken.services.record.statistics import KBLOCKS, READERS
from harken.services.record.transaction import LOG

Pair = tuple[str, str]  # a reader and a K-Block

_COUNTERS = {
    "view_count": FeedbackAction.VIEW,
    "engage_count": FeedbackAction.ENGAGE,
    "dismiss_count": FeedbackAction.DISMISS,
}


class AttentionScores:
    """The attention scores of one database.

    Texts that cannot be ids are not sent to the database: it would refuse them, and the query of
    all other callers with them.
    """

    def __init__(self, database: Database, prior: float) -> None:
        """Take the prior in interactions; raises InvalidInput unless it is greater than 0."""
        self._database = database
        self._prior = check_prior(prior)
        self._overall = BatchedLookups(self._read)
        self._personal = BatchedLookups(self._read_personal)

    async def overall(self, kblock_id: str) -> float:
        """Return the score of a K-Block over all readers; 0 without interactions."""
        if not is_kept_identifier(kblock_id):
            return 0.0
        return await self._overall.get(kblock_id) or 0.0

    async def personal(self, user_id: str, kblock_id: str) -> float:
        """Return a reader's own score of a K-Block; that of all readers for a guest."""
        if user_id == GUEST or not (is_kept_identifier(user_id) and is_kept_identifier(kblock_id)):
            return await self.overall(kblock_id)
        return await self._personal.get((user_id, kblock_id)) or 0.0

    async def _read(self, kblock_ids: list[str]) -> dict[str, float]:
        query, ids = _scores(self._database.is_postgresql), self._database.as_list(kblock_ids)
        return {row[0]: row[1] for row in await self._database.read(query, {"ids": ids})}

    async def _read_personal(self, pairs: list[Pair]) -> dict[Pair, float]:
        if self._database.is_postgresql:
            users, kblocks = zip(*pairs, strict=True)
            given: dict[str, Any] = {"users": list(users), "kblocks": list(kblocks)}
        else:
            given = {"pairs": json.dumps(pairs)}
        rows = await self._database.read(_histories(self._database.is_postgresql), given)
        return {(row[0], row[1]): self._blend(*row[2:]) for row in rows}

    def _blend(self, overall: float, views: int, engagements: int, dismissals: int) -> float:
        own = attention_score(views, engagements, dismissals)
        interactions = views + engagements + dismissals
        return personal_attention(own, overall, interactions, self._prior)


@cache
def _scores(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    listed = is_in_list(KBLOCKS.c.kblock_id, "ids", postgresql=is_postgresql)
    return Prepared(select(KBLOCKS.c.kblock_id, KBLOCKS.c.attention_score).where(listed))


@cache
def _histories(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — as above
    return Prepared(histories(postgresql=is_postgresql))


def histories(*, postgresql: bool) -> Select[Any]:
    """Select the score of all readers and the reader's own counts, for each requested pair.

    On PostgreSQL the pairs are two arrays, `users` and `kblocks`; on SQLite they are a JSON array
    of arrays, `pairs`. Counts are 0 for a reader without history, or with personalisation off.
    """
    asked = _asked_on_postgresql() if postgresql else _asked_on_sqlite()
    users, readers = USERS.c, READERS.c
    has_history = and_(
        readers.user_id == asked.c.user_id,
        readers.kblock_id == asked.c.kblock_id,
        func.coalesce(users.personalized, true()),
    )
    return select(
        asked.c.user_id,
        asked.c.kblock_id,
        KBLOCKS.c.attention_score,
        *(_own(asked, name, action) for name, action in _COUNTERS.items()),
    ).select_from(
        asked.join(KBLOCKS, KBLOCKS.c.kblock_id == asked.c.kblock_id)
        .outerjoin(USERS, users.user_id == asked.c.user_id)
        .outerjoin(READERS, has_history)
    )


def _own(asked: FromClause, name: str, action: FeedbackAction) -> ColumnElement[int]:
    since = USERS.c.profile_since
    # The statistics have no times. After a reset of the profile, the log is counted instead.
    recounted = (
        select(func.count())
        .select_from(LOG)
        .where(
            LOG.c.user_id == asked.c.user_id,
            LOG.c.kblock_id == asked.c.kblock_id,
            LOG.c.action == literal(action.value),
            LOG.c.created_at >= since,
            counts(LOG),
        )
        .correlate(asked, USERS)
        .scalar_subquery()
    )
    kept = READERS.c[name]
    return case((kept.is_(None), 0), (since.is_(None), kept), else_=recounted)


def _asked_on_postgresql() -> FromClause:
    arrays = [bindparam(name, type_=ARRAY(String())) for name in ("users", "kblocks")]
    return func.unnest(*arrays).table_valued("user_id", "kblock_id", name="asked").render_derived()


def _asked_on_sqlite() -> FromClause:
    pair = func.json_each(bindparam("pairs", type_=String)).table_valued("value").c.value
    return select(
        func.json_extract(pair, "$[0]", type_=String).label("user_id"),
        func.json_extract(pair, "$[1]", type_=String).label("kblock_id"),
    ).subquery("asked")
