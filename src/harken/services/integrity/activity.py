"""Corrections of the counts per minute and in total.

Rows of these tables are divided over shards, one for each writer. A correction is written to a
shard of its own, `CORRECTION`, which may hold negative counts: nobody who records waits for it.
`fold` later takes negative counts out of the other shards of the same minute, so that no trace is
left of when something was taken out. Queries add up the shards, so they see no difference.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    FromClause,
    Select,
    and_,
    bindparam,
    column,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql as postgres
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import BigInteger

from harken.database import Database
from harken.models.types import utc_text
from harken.services.integrity.key_lists import listed
from harken.services.record import statistics
from harken.services.record.statistics import COUNTERS, MINUTES, TOTALS

CORRECTION = -1
"""The shard that corrections are written to, one transaction at a time."""
CORRECTED = {"shard": CORRECTION}
"""The parameter that directs the statements of `corrections` to that shard."""
MOST_FOLDED = 2_000
"""Minutes that a transaction folds: events of these minutes wait for it."""


class Activity:
    """The counts per minute and in total of one database, within one transaction."""

    def __init__(self, connection: AsyncConnection, database: Database) -> None:
        self._connection = connection
        self._database = database
        self._run = _statements(postgresql=database.is_postgresql)

    async def fold(self) -> bool:
        """Fold some minutes with negative counts; returns whether there were any."""
        found = await self._connection.execute(self._run.unfolded)
        minutes = {at: dict.fromkeys(COUNTERS, 0) for at in found.scalars()}
        if minutes:
            await self._reduce(minutes)
        return bool(minutes)

    async def is_folded(self) -> bool:
        """Whether no minute has negative counts."""
        return (await self._connection.execute(self._run.unfolded)).first() is None

    async def subtract(self, counted: Sequence[Mapping[str, Any]]) -> None:
        """Subtract counts by minute: rows with `minute` and the counters."""
        await self._reduce({row["minute"]: row for row in counted})
        least = select(func.min(TOTALS.c.shard)).scalar_subquery()
        sums = {name: sum(int(row[name]) for row in counted) for name in COUNTERS}
        await self._connection.execute(
            update(TOTALS)
            .where(TOTALS.c.shard == least)
            .values({name: TOTALS.c[name] - value for name, value in sums.items()})
        )

    async def _reduce(self, minutes: Mapping[Any, Mapping[str, Any]]) -> None:
        wanted = self._database.as_list([self._minute(at) for at in minutes])
        found = await self._connection.execute(self._run.shards, {"minutes": wanted})
        kept: dict[Any, list[dict[str, Any]]] = {}
        for shard in found.mappings():
            kept.setdefault(shard["minute"], []).append({str(name): shard[name] for name in shard})
        changed: list[dict[str, Any]] = []
        empty: list[dict[str, Any]] = []
        for at, counts in minutes.items():
            for reduced in _reduced(kept.get(at, []), counts):
                into = changed if any(reduced[name] for name in COUNTERS) else empty
                into.append({f"own_{name}": value for name, value in reduced.items()})
        change = _change_at_once if self._database.is_postgresql else _change
        await change(self._connection, changed, empty)

    def _minute(self, at: Any) -> Any:
        return at if self._database.is_postgresql else utc_text(at)


def _reduced(shards: Sequence[dict[str, Any]], counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Subtract counts from the shards of a minute, none below 0; returns the changed shards.

    Counts of a shard that are negative are made 0, and subtracted from the other shards.
    """
    rest = {
        name: int(counts[name]) - sum(min(shard[name], 0) for shard in shards) for name in COUNTERS
    }
    changed = []
    for shard in shards:
        kept = {name: max(shard[name], 0) for name in COUNTERS}
        taken = {name: min(rest[name], kept[name]) for name in COUNTERS}
        left = shard | {name: kept[name] - taken[name] for name in COUNTERS}
        if left != shard or not any(kept.values()):
            changed.append(left)
            rest = {name: rest[name] - taken[name] for name in COUNTERS}
    return changed


async def _change(
    connection: AsyncConnection, changed: list[dict[str, Any]], empty: list[dict[str, Any]]
) -> None:
    at = and_(
        MINUTES.c.minute == bindparam("own_minute"), MINUTES.c.shard == bindparam("own_shard")
    )
    if changed:
        values: dict[str, Any] = {name: bindparam(f"own_{name}") for name in COUNTERS}
        await connection.execute(update(MINUTES).where(at).values(values), changed)
    if empty:
        await connection.execute(delete(MINUTES).where(at), empty)


async def _change_at_once(
    connection: AsyncConnection, changed: list[dict[str, Any]], empty: list[dict[str, Any]]
) -> None:
    """Do what `_change` does, with one statement for all rows: others wait for them."""
    update_all, delete_all = _change_statements()
    for rows, statement in (changed, update_all), (empty, delete_all):
        if rows:
            names = ("minute", "shard", *COUNTERS)
            columns = {f"own_{name}": [row[f"own_{name}"] for row in rows] for name in names}
            await connection.execute(statement, columns)


@cache
def _change_statements() -> tuple[Any, Any]:
    names = ("minute", "shard", *COUNTERS)
    arrays = [bindparam(f"own_{name}", type_=ARRAY(MINUTES.c[name].type)) for name in names]
    columns = [column(name, MINUTES.c[name].type) for name in names]
    rows = func.unnest(*arrays).table_valued(*columns, name="reduced").render_derived()
    at = and_(MINUTES.c.minute == rows.c.minute, MINUTES.c.shard == rows.c.shard)
    values: dict[str, Any] = {name: rows.c[name] for name in COUNTERS}
    return update(MINUTES).where(at).values(values), delete(MINUTES).where(at)


class _Statements(NamedTuple):
    unfolded: Select[Any]
    """Minutes with a correction that is negative, or nothing."""
    shards: Select[Any]
    """The rows of some minutes, locked."""


@cache
def _statements(*, postgresql: bool) -> _Statements:
    counts = MINUTES.c
    is_nothing = and_(*(counts[name] == 0 for name in COUNTERS))
    return _Statements(
        unfolded=select(counts.minute)
        .where(
            counts.shard == CORRECTION,
            or_(is_nothing, *(counts[name] < 0 for name in COUNTERS)),
        )
        .order_by(counts.minute)
        .limit(MOST_FOLDED),
        shards=select(MINUTES)
        .where(listed(counts.minute, "minutes", postgresql=postgresql))
        .order_by(counts.minute, counts.shard)
        .with_for_update(of=MINUTES),
    )  # fmt: skip


def corrections(log: FromClause, counted: FromClause, *, postgresql: bool) -> list[Any]:
    """Return statements that add the counts of entries of a log, times `sign` (1 or −1).

    They write to the shard of corrections, so nobody waits for them. `counted` has the entries'
    counts, multiplied by the sign already. The parameters are `sign` and `CORRECTED`.
    """
    insert = postgres.insert if postgresql else sqlite.insert
    minutes = statistics.by_minute(log).subquery("minutes")
    sign = bindparam("sign", type_=BigInteger)
    signed = [(minutes.c[name] * sign).label(name) for name in COUNTERS]
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    each = statistics.sharded(select(minutes.c.minute, *signed)).where(minutes.c.view_count >= 0)
    total = statistics.total(counted).subquery("total")
    whole = statistics.sharded(select(total)).where(total.c.view_count.is_not(None))
    return [
        statistics.merge(insert, MINUTES, each.order_by(minutes.c.minute)),
        statistics.merge(insert, TOTALS, whole),
    ]
