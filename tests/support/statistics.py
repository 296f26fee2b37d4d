"""All statistics of a database, to be compared before and after."""

from typing import Any, NamedTuple

from sqlalchemy import func, select

from harken.database import Database
from harken.services.record import decayed_counts, statistics
from harken.services.record.statistics import (
    CONTRADICTIONS,
    COUNTERS,
    KBLOCKS,
    LAST_TIMES,
    MINUTES,
    READERS,
    TOTALS,
    UNIQUES,
)


class Figures(NamedTuple):
    """Exact values by table and key, and decayed sums' logarithms by K-Block and name."""

    exact: dict[tuple[str, ...], tuple[Any, ...]]
    decayed: dict[tuple[str, str], float]


async def figures(database: Database) -> Figures:
    own = [*COUNTERS, *LAST_TIMES]
    whole = [*own, *UNIQUES, "attention_score", "avg_dwell_time_sec"]
    exact: dict[tuple[str, ...], tuple[Any, ...]] = {}
    decayed: dict[tuple[str, str], float] = {}
    async with database.reading() as connection:
        for table, names in (
            (READERS, own), (KBLOCKS, whole), (CONTRADICTIONS, ["contradict_count"]),
        ):  # fmt: skip
            keys = list(table.primary_key)
            for row in await connection.execute(select(*keys, *(table.c[n] for n in names))):
                exact[table.name, *row[: len(keys)]] = tuple(row[len(keys) :])
        sums = [func.sum(MINUTES.c[name]) for name in COUNTERS]
        for row in await connection.execute(
            select(MINUTES.c.minute, *sums).group_by(MINUTES.c.minute)
        ):
            exact[MINUTES.name, str(row[0])] = tuple(map(int, row[1:]))
        total = (await connection.execute(statistics.total(TOTALS))).one()
        exact[TOTALS.name,] = tuple(map(int, total))
        names = decayed_counts.NAMES
        for row in await connection.execute(
            select(KBLOCKS.c.kblock_id, *(KBLOCKS.c[name] for name in names))
        ):
            sums_of = zip(names, row[1:], strict=True)
            decayed |= {(row[0], name): at for name, at in sums_of if at is not None}
    return Figures(exact, decayed)
