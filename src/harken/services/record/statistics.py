"""The definition of every statistic: a SELECT over log entries, and the addition of increments.

    log entries ──▶ by_reader ──▶ by_kblock ─┐
         ├────────▶ decayed.by_kblock ─────┴▶ with_decayed
         ├────────▶ by_minute ──▶ total
         └────────▶ by_contradiction

Recording applies these to the entries that a transaction has inserted, and merges the results into
the tables. `harken rebuild` and `harken verify` apply the same definitions to the whole log.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Select,
    SmallInteger,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from harken.domain.attention import (
    DISMISSAL_WEIGHT,
    ENGAGEMENT_WEIGHT,
    RAW_SUPREMUM,
    VIEW_WEIGHT,
)
from harken.domain.feedback import FeedbackAction
from harken.domain.fields import ID_LENGTH
from harken.models import (
    FeedActivityMinute,
    FeedActivityTotal,
    FeedContradiction,
    FeedEngagementStats,
    FeedUserEngagementStats,
)
from harken.models.types import UtcDateTime, json_string, table, utc_now, utc_trunc
from harken.services.record import decayed_counts

Insert = postgresql.Insert | sqlite.Insert


COUNTERS = (
    "view_count",
    "engage_count",
    "dismiss_count",
    "contradict_count",
    "dwell_count",
    "dwell_sum_ms",
)
UNIQUES = ("unique_viewers", "unique_engagers")
LAST_TIMES = ("last_viewed_at", "last_engaged_at")

# The shard of the writer, bound when a statement is executed.
SHARD = bindparam("shard", type_=SmallInteger)


def by_reader(log: FromClause) -> Select[Any]:
    """Select counts and last times for each reader and K-Block in `log`."""
    seen_at = func.max(log.c.created_at, type_=UtcDateTime)
    return select(
        log.c.user_id,
        log.c.kblock_id,
        *counted(log),
        seen_at.filter(_is(log, FeedbackAction.VIEW)).label("last_viewed_at"),
        seen_at.filter(_is(log, FeedbackAction.ENGAGE)).label("last_engaged_at"),
    ).group_by(log.c.user_id, log.c.kblock_id)


def by_kblock(
    readers: FromClause,
    source: FromClause | None = None,
    is_new_viewer: ColumnElement[bool] | None = None,
    is_new_engager: ColumnElement[bool] | None = None,
) -> Select[Any]:
    """Select counts, exact uniques, last times and score for each K-Block in `readers`.

    `readers` has the columns of `by_reader`. While recording, only readers that are new to a
    K-Block count as unique: `source` joins `readers` to the earlier counts, and the two conditions
    tell who is new.
    """
    rows = readers.c
    summed = {name: cast(func.sum(rows[name]), BigInteger) for name in COUNTERS}
    viewed, engaged = rows.view_count > 0, rows.engage_count > 0
    new_viewer = viewed if is_new_viewer is None else and_(viewed, is_new_viewer)
    new_engager = engaged if is_new_engager is None else and_(engaged, is_new_engager)
    return (
        select(
            rows.kblock_id,
            *(value.label(name) for name, value in summed.items()),
            func.count().filter(new_viewer).label("unique_viewers"),
            func.count().filter(new_engager).label("unique_engagers"),
            *(func.max(rows[name], type_=UtcDateTime).label(name) for name in LAST_TIMES),
            *(value.label(name) for name, value in _derived(summed).items()),
        )
        .select_from(readers if source is None else source)
        .group_by(rows.kblock_id)
    )


def by_minute(log: FromClause) -> Select[Any]:
    """Select counts for each UTC minute in `log`."""
    minute = utc_trunc("minute", log.c.created_at)
    return select(minute.label("minute"), *counted(log)).group_by(minute)


def counted(log: FromClause) -> list[ColumnElement[Any]]:
    """Return the counters of some entries as columns, named as in `COUNTERS`."""
    timed = and_(_is(log, FeedbackAction.VIEW), log.c.dwell_time_ms.is_not(None))
    counts = [func.count().filter(_is(log, action)) for action in FeedbackAction]
    counts.append(func.count().filter(timed))
    dwell = func.coalesce(func.sum(log.c.dwell_time_ms).filter(timed), 0)
    return [value.label(name) for name, value in zip(COUNTERS, [*counts, dwell], strict=True)]


def by_contradiction(log: FromClause, by: Sequence[str] = ("kblock_id",)) -> Select[Any]:
    """Select how often readers reported that a K-Block contradicts another, for each pair.

    `by` are other columns to count by, which include that of the K-Block.
    """
    is_contradiction = _is(log, FeedbackAction.CONTRADICT)
    other = case((is_contradiction, json_string(log.c.interaction_metadata, "contradicts")))
    keys = [log.c[name] for name in by]
    pairs = select(*keys, other.label("other_id")).where(is_contradiction).subquery()
    counted_by = [*(pairs.c[name] for name in by), pairs.c.other_id]
    return (
        select(*counted_by, func.count().label("contradict_count"))
        .where(
            func.length(pairs.c.other_id).between(1, ID_LENGTH),
            pairs.c.other_id != pairs.c.kblock_id,
        )
        .group_by(*counted_by)
    )


def total(counted: FromClause) -> Select[Any]:
    """Select the sums of the counters of a relation, as one row."""
    sums: list[ColumnElement[Any]] = [
        func.coalesce(cast(func.sum(counted.c[name]), BigInteger), 0).label(name)
        for name in COUNTERS
    ]
    return select(*sums)


def merge(insert: Any, into: Table, increments: Select[Any]) -> Insert:
    """Return an INSERT that adds increments to the rows of a table, or makes the rows.

    `insert` is the dialect's function. `increments` must have at most one row for each primary key,
    since PostgreSQL refuses to update a row twice.
    """
    names = [column.name for column in increments.selected_columns]
    statement: Insert = insert(into).from_select(names, increments)
    old, new = into.c, statement.excluded
    counts = {name: old[name] + new[name] for name in COUNTERS if name in old}
    merged: dict[str, ColumnElement[Any]] = dict(counts)
    merged |= {name: old[name] + new[name] for name in UNIQUES if name in old}
    merged |= {
        name: decayed_counts.added(old[name], new[name])
        for name in decayed_counts.NAMES
        if name in old
    }
    merged |= {name: _later(old[name], new[name]) for name in LAST_TIMES if name in old}
    if "first_recorded_at" in old:
        merged["first_recorded_at"] = _earlier(old.first_recorded_at, new.first_recorded_at)
    if "attention_score" in old:
        merged |= _derived(counts)
    if "updated_at" in old:
        merged["updated_at"] = utc_now()
    return statement.on_conflict_do_update(index_elements=list(into.primary_key), set_=merged)


def with_decayed(kblocks: Select[Any], log: FromClause, *, full: bool = False) -> Select[Any]:
    """Add the decayed counts of `log` to the counts of `by_kblock`; `full` as in `joined`."""
    rates = decayed_counts.rates().cte("rates")
    return joined(kblocks, decayed_counts.by_kblock(log, rates), full=full)


def joined(kblocks: Select[Any], decayed: Select[Any], *, full: bool = False) -> Select[Any]:
    """Join the counts of K-Blocks and their decayed counts.

    No K-Block has only the latter. With `full` it is a full join nevertheless, which PostgreSQL
    cannot do by computing `decayed` once for each K-Block.
    """
    plain, sums = kblocks.cte("counted"), decayed.cte("decayed")
    return (
        select(*plain.c, *(sums.c[name] for name in decayed_counts.NAMES))
        .select_from(plain.outerjoin(sums, plain.c.kblock_id == sums.c.kblock_id, full=full))
        .order_by(plain.c.kblock_id)
    )


def stamped(increments: Select[Any]) -> Select[Any]:
    """Add the columns `created_at` and `updated_at`."""
    return increments.add_columns(utc_now().label("created_at"), utc_now().label("updated_at"))


def sharded(increments: Select[Any]) -> Select[Any]:
    """Add the column of the writer's shard."""
    return increments.add_columns(SHARD.label("shard"))


READERS = table(FeedUserEngagementStats)
KBLOCKS = table(FeedEngagementStats)
CONTRADICTIONS = table(FeedContradiction)
MINUTES = table(FeedActivityMinute)
TOTALS = table(FeedActivityTotal)


def _is(log: FromClause, action: FeedbackAction) -> ColumnElement[bool]:
    return log.c.action == literal(action.value)


def _derived(counts: dict[str, Any]) -> dict[str, ColumnElement[Any]]:
    """Compute columns from counts, in the order of operations of `attention_score`."""
    views, engagements, dismissals = (
        counts[name] for name in ("view_count", "engage_count", "dismiss_count")
    )
    weighed = (
        _float(ENGAGEMENT_WEIGHT) * engagements
        + _float(VIEW_WEIGHT) * views
        + _float(DISMISSAL_WEIGHT) * dismissals
    )
    raw = weighed / (views + engagements + dismissals + 1)
    timed = counts["dwell_count"]
    return {
        "attention_score": case((raw > _float(0), raw / _float(RAW_SUPREMUM)), else_=_float(0)),
        "avg_dwell_time_sec": case((timed > 0, counts["dwell_sum_ms"] / (_float(1000) * timed))),
    }


def _float(value: float) -> ColumnElement[float]:
    return literal(float(value), Float)


def _later(old: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    # GREATEST of PostgreSQL ignores nulls, MAX of SQLite does not; this is equal on both.
    return case((or_(old.is_(None), new > old), new), else_=old)


def _earlier(old: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((new < old, new), else_=old)
