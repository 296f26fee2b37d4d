"""Each statistic as a SELECT: what dropped events count, plus what some entries of the log count.

    feed_baseline_readers         ─┐
    by_reader(log)                ─┴▶ readers ──▶ kblock_counts ─┐
    decayed counts of both        ─────▶ decayed ────────────────┴▶ kblocks
    feed_baseline_contradictions  ─┐
    by_contradiction(log)         ─┴▶ contradictions
    feed_baseline_minutes         ─┐
    by_minute(log)                ─┴▶ minutes ──▶ totals

A function `of` chooses rows of the baseline: it gets the columns of a table, and returns the same
condition that chose the entries of the log. A statement reads log and baseline in one snapshot, so
an event that is dropped meanwhile is in exactly one of them.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    cast,
    func,
    null,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.models import FeedBaselineContradiction, FeedBaselineMinute, FeedBaselineReader
from harken.models.types import UtcDateTime, table
from harken.services.record import decayed_counts, statistics
from harken.services.record.statistics import COUNTERS, LAST_TIMES

BASELINE_READERS = table(FeedBaselineReader)
BASELINE_CONTRADICTIONS = table(FeedBaselineContradiction)
BASELINE_MINUTES = table(FeedBaselineMinute)

Of = Callable[[Any], ColumnElement[bool]]


def every(_columns: Any) -> ColumnElement[bool]:
    """Choose the whole baseline."""
    return true()


def readers(log: FromClause, of: Of = every) -> Select[Any]:
    """Select counts and last times for each reader and K-Block."""
    rows = BASELINE_READERS.c
    kept = select(
        rows.user_id, rows.kblock_id, *(rows[name] for name in (*COUNTERS, *LAST_TIMES))
    ).where(of(rows))
    both = union_all(kept, statistics.by_reader(log)).subquery("both")
    return select(
        both.c.user_id,
        both.c.kblock_id,
        *_sums(both),
        *(func.max(both.c[name], type_=UtcDateTime).label(name) for name in LAST_TIMES),
    ).group_by(both.c.user_id, both.c.kblock_id)


def kblock_counts(log: FromClause, of: Of = every) -> Select[Any]:
    """Select counts, uniques, last times and score for each K-Block."""
    return statistics.by_kblock(readers(log, of).subquery("readers"))


def decayed(log: FromClause, of: Of = every) -> Select[Any]:
    """Select the logarithms of the decayed counts for each K-Block."""
    rows = BASELINE_READERS.c
    kept = select(rows.kblock_id, *(rows[name] for name in decayed_counts.NAMES)).where(of(rows))
    own = decayed_counts.by_kblock(log, decayed_counts.rates().subquery("rates"))
    return decayed_counts.added_up(union_all(kept, own).subquery("sums"))


def kblocks(log: FromClause, of: Of = every) -> Select[Any]:
    """Select what `kblock_counts` does, with the decayed counts."""
    return statistics.joined(kblock_counts(log, of), decayed(log, of))


def contradictions(log: FromClause, of: Of = every) -> Select[Any]:
    """Select how often readers reported that a K-Block contradicts another, for each pair."""
    rows = BASELINE_CONTRADICTIONS.c
    kept = select(rows.kblock_id, rows.other_id, rows.contradict_count).where(of(rows))
    both = union_all(kept, statistics.by_contradiction(log)).subquery("both")
    keys = both.c.kblock_id, both.c.other_id
    count = cast(func.sum(both.c.contradict_count), BigInteger).label("contradict_count")
    return select(*keys, count).group_by(*keys)


def minutes(log: FromClause) -> Select[Any]:
    """Select counts for each UTC minute."""
    rows = BASELINE_MINUTES.c
    kept = select(rows.minute, *(rows[name] for name in COUNTERS))
    both = union_all(kept, statistics.by_minute(log)).subquery("both")
    return select(both.c.minute, *_sums(both)).group_by(both.c.minute)


def totals(log: FromClause) -> Select[Any]:
    """Select the sums of all counters, as one row."""
    return statistics.total(minutes(log).subquery("minutes"))


async def follow_half_lives(
    connection: AsyncConnection, before: Sequence[timedelta], after: Sequence[timedelta]
) -> None:
    """Move the baseline's decayed counts to the slots that their half-lives have from now on.

    A half-life that was not kept before has no decayed counts of dropped events.
    """
    slots = {half_life: slot for slot, half_life in zip(decayed_counts.SLOTS, before, strict=False)}
    values: dict[str, Any] = {}
    for slot, half_life in zip(
        decayed_counts.SLOTS, [*after, *[None] * len(decayed_counts.SLOTS)], strict=False
    ):
        own = None if half_life is None else slots.get(half_life)
        if own != slot:
            for name, other in decayed_counts.columns(slot, own):
                values[name] = null() if other is None else BASELINE_READERS.c[other]
    if values:
        await connection.execute(update(BASELINE_READERS).values(values))


def _sums(both: FromClause) -> list[ColumnElement[Any]]:
    return [cast(func.sum(both.c[name]), BigInteger).label(name) for name in COUNTERS]
