"""The statements of a prepared recount; see `prepared_recount`."""

from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql as postgres
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from harken.models.types import UtcDateTime
from harken.services.integrity import activity
from harken.services.integrity.key_lists import listed, listed_pair, pairs, unlisted
from harken.services.integrity.recounting import inserted, recounted
from harken.services.record import statistics
from harken.services.record.admission.quarantines import counts
from harken.services.record.baseline import definitions
from harken.services.record.statistics import CONTRADICTIONS, COUNTERS, KBLOCKS, READERS
from harken.services.record.transaction import LOG


class Change(IntEnum):
    """The direction of a recount."""

    LEAVE = -1
    """They cease to count."""
    RETURN = 1
    """They count again."""


class Reading(NamedTuple):
    """The statements of a preparation."""

    rows: Select[Any]
    recent: Select[Any]


@cache
def reading(change: Change, *, postgresql: bool) -> Reading:
    """Return the statements of a preparation."""

    def wanted_kblock(columns: Any) -> ColumnElement[bool]:
        return listed(columns.kblock_id, "kblocks", postgresql=postgresql)

    of_kblocks = wanted_kblock(LOG.c)
    own = listed(LOG.c.id, "ids", postgresql=postgresql)
    if change is Change.LEAVE:
        left = unlisted(LOG.c.id, "ids", postgresql=postgresql)
        log = select(LOG).where(of_kblocks, counts(LOG), left).subquery("logged")
    else:
        # The events themselves do not count yet, so that none is there twice.
        those = select(LOG).where(of_kblocks, counts(LOG))
        log = those.union_all(select(LOG).where(own)).subquery("logged")
    found = definitions.kblocks(log, wanted_kblock).subquery()
    names = [each.name for each in found.c if each.name != "kblock_id"]
    wanted = _wanted("kblocks", postgresql=postgresql)
    rows = (
        select(
            wanted.c.kblock_id, KBLOCKS.c.created_at.label("kept_at"), *(found.c[n] for n in names)
        )
        .select_from(
            wanted.outerjoin(KBLOCKS, KBLOCKS.c.kblock_id == wanted.c.kblock_id).outerjoin(
                found, found.c.kblock_id == wanted.c.kblock_id
            )
        )
    )  # fmt: skip
    since = LOG.c.updated_at >= bindparam("since", type_=UtcDateTime)
    return Reading(rows, select(LOG.c.id).where(of_kblocks, since))


class Statements(NamedTuple):
    """The statements of the transaction, in their order."""

    contradicted: Select[Any]
    open: list[Any]
    load: Any
    expect: Any
    """The events' own counts by K-Block, with the sign."""
    activity: list[Any]
    readers: list[Any]
    claim: list[Any]
    """Locks the rows of K-Blocks, and completes what they must count."""
    differing: Select[Any]
    remove: Any
    fill: Any
    merge: Any
    wrong: Select[Any]
    again: list[Any]
    contradictions: list[Any]
    close: list[Any]


@cache
def statements(*, postgresql: bool) -> Statements:
    """Return the statements of a recount."""
    dialect: Any = postgres if postgresql else sqlite
    prepared, expected, chosen = _temporary(postgresql=postgresql)
    wanted = select(*(LOG.c[each.name] for each in chosen.c))
    own = select(chosen.c.kblock_id, *statistics.counted(chosen)).group_by(chosen.c.kblock_id)
    counted = own.subquery("own")
    sign = bindparam("sign", type_=BigInteger)
    of_kblocks = listed(KBLOCKS.c.kblock_id, "kblocks", postgresql=postgresql)
    kept = expected.c.kblock_id == KBLOCKS.c.kblock_id
    lost = listed(KBLOCKS.c.kblock_id, "lost", postgresql=postgresql)

    def is_lost(columns: Any) -> ColumnElement[bool]:
        return listed(columns.kblock_id, "lost", postgresql=postgresql)

    log = select(LOG).where(is_lost(LOG.c), counts(LOG)).subquery("logged")
    return Statements(
        contradicted=statistics.by_contradiction(chosen),
        open=[
            *(CreateTable(each, if_not_exists=True) for each in (prepared, expected, chosen)),
            *(delete(each) for each in (prepared, expected, chosen)),
            insert(chosen).from_select(
                [each.name for each in chosen.c],
                wanted.where(listed(LOG.c.id, "ids", postgresql=postgresql)),
            ),
        ],
        load=insert(prepared),
        expect=insert(expected).from_select(
            ["kblock_id", *COUNTERS],
            select(counted.c.kblock_id, *(counted.c[name] * sign for name in COUNTERS)),
        ),
        readers=_readers(postgresql=postgresql),
        claim=[
            *_claim(KBLOCKS, _wanted("kblocks", postgresql=postgresql), postgresql=postgresql),
            update(expected)
            .values({name: expected.c[name] + KBLOCKS.c[name] for name in COUNTERS})
            .where(kept),
        ],
        differing=_differing(prepared, expected),
        remove=delete(KBLOCKS).where(of_kblocks),
        fill=_fill(prepared, postgresql=postgresql),
        merge=_merge(dialect.insert, postgresql=postgresql),
        wrong=select(expected.c.kblock_id)
        .select_from(expected.outerjoin(KBLOCKS, kept))
        .where(
            listed(expected.c.kblock_id, "late", postgresql=postgresql),
            not_(_same_counters(KBLOCKS, expected)),
        ),
        again=[
            delete(KBLOCKS).where(lost),
            inserted(KBLOCKS, recounted(KBLOCKS, log, is_lost), postgresql=postgresql),
        ],
        contradictions=_contradictions(postgresql=postgresql),
        activity=activity.corrections(chosen, expected, postgresql=postgresql),
        close=[delete(each) for each in (prepared, expected, chosen)],
    )  # fmt: skip


def _temporary(*, postgresql: bool) -> tuple[Table, Table, Table]:
    """Return the tables of prepared rows, of what K-Blocks must count, and of the events."""
    names = [each.name for each in KBLOCKS.c if each.name not in {"created_at", "updated_at"}]
    options: dict[str, Any] = {"prefixes": ["TEMPORARY"]}
    if postgresql:
        options["postgresql_on_commit"] = "DROP"
    metadata = MetaData(schema="pg_temp" if postgresql else None)
    prepared = Table(
        "harken_prepared",
        metadata,
        *(Column(name, KBLOCKS.c[name].type, primary_key=name == "kblock_id") for name in names),
        Column("kept_at", UtcDateTime),
        **options,
    )
    expected = Table(
        "harken_expected",
        metadata,
        Column("kblock_id", KBLOCKS.c.kblock_id.type, primary_key=True),
        *(Column(name, BigInteger) for name in COUNTERS),
        **options,
    )
    counting = ("kblock_id", "action", "dwell_time_ms", "interaction_metadata", "created_at")
    chosen = Table(
        "harken_chosen", metadata, *(Column(name, LOG.c[name].type) for name in counting), **options
    )
    return prepared, expected, chosen


def _wanted(name: str, *, postgresql: bool) -> Any:
    """Return the ids of a list as a relation of the column `kblock_id`, in the list's order."""
    if postgresql:
        ids = func.unnest(bindparam(name, type_=postgres.ARRAY(KBLOCKS.c.kblock_id.type)))
        return ids.table_valued("kblock_id", name=f"wanted_{name}").render_derived()
    each = func.json_each(bindparam(name)).table_valued("value")
    return select(each.c.value.label("kblock_id")).subquery(f"wanted_{name}")


def _claim(table: Table, keys: Any, *, postgresql: bool) -> list[Any]:
    """Lock rows in the order of their keys, and make those that are missing in the same pass.

    Missing rows must be made in turn, as recording does: whoever makes some rows before others are
    locked waits for somebody who waits for the new row. SQLite has one writer.
    """
    if not postgresql:
        return []
    names = [column.name for column in table.primary_key]
    rows = select(*keys.c)
    if "created_at" in table.c:
        names, rows = [*names, "created_at", "updated_at"], statistics.stamped(rows)
    insertion = postgres.insert(table).from_select(names, rows)
    first = next(name for name in COUNTERS if name in table.c)
    return [
        insertion.on_conflict_do_update(
            index_elements=list(table.primary_key), set_={first: table.c[first]}, where=false()
        )
    ]


def _readers(*, postgresql: bool) -> list[Any]:
    def of_pair(columns: Any) -> ColumnElement[bool]:
        return listed_pair(columns.user_id, columns.kblock_id, "pairs", postgresql=postgresql)

    log = select(LOG).where(of_pair(LOG.c), counts(LOG)).subquery("logged")
    return [
        *_claim(READERS, pairs("pairs", postgresql=postgresql), postgresql=postgresql),
        delete(READERS).where(of_pair(READERS.c)),
        inserted(READERS, recounted(READERS, log, of_pair), postgresql=postgresql),
    ]


def _contradictions(*, postgresql: bool) -> list[Any]:
    def of_pair(columns: Any) -> ColumnElement[bool]:
        return listed_pair(
            columns.kblock_id, columns.other_id, "contradictions", postgresql=postgresql
        )

    named = pairs("contradictions", postgresql=postgresql)

    def of_kblock(columns: Any) -> ColumnElement[bool]:
        own: ColumnElement[bool] = columns.kblock_id.in_(select(named.c.first))
        return own

    log = select(LOG).where(of_kblock(LOG.c), counts(LOG)).subquery("logged")
    counted = definitions.contradictions(log, of_kblock).subquery("counted")
    rows = statistics.stamped(select(counted).where(of_pair(counted.c)))
    return [
        *_claim(CONTRADICTIONS, named, postgresql=postgresql),
        delete(CONTRADICTIONS).where(of_pair(CONTRADICTIONS.c)),
        inserted(CONTRADICTIONS, rows, postgresql=postgresql),
    ]


def _same_counters(some: Any, expected: Any) -> ColumnElement[bool]:
    return and_(*(func.coalesce(some.c[name], 0) == expected.c[name] for name in COUNTERS))


def _differing(prepared: Table, expected: Table) -> Select[Any]:
    """Select the K-Blocks whose prepared row cannot be used, or does not count what it must."""
    is_same_row = or_(prepared.c.kept_at.is_(None), prepared.c.kept_at == KBLOCKS.c.created_at)
    is_usable = case((and_(prepared.c.kblock_id.is_not(None), is_same_row), true()), else_=false())
    rows = expected.outerjoin(prepared, prepared.c.kblock_id == expected.c.kblock_id).outerjoin(
        KBLOCKS, KBLOCKS.c.kblock_id == expected.c.kblock_id
    )
    is_right = and_(is_usable, _same_counters(prepared, expected))
    return (
        select(expected.c.kblock_id, is_usable.label("is_usable"))
        .select_from(rows)
        .where(not_(is_right))
    )


def _fill(prepared: Table, *, postgresql: bool) -> Any:
    names = [each.name for each in prepared.c if each.name != "kept_at"]
    rows = select(*(prepared.c[name] for name in names)).where(
        prepared.c.view_count.is_not(None),
        unlisted(prepared.c.kblock_id, "lost", postgresql=postgresql),
    )
    return inserted(
        KBLOCKS, statistics.stamped(rows).order_by(prepared.c.kblock_id), postgresql=postgresql
    )


def _merge(insert_into: Any, *, postgresql: bool) -> Any:
    """Merge what was recorded since the snapshot, as recording does."""
    new = (
        select(LOG)
        .where(
            listed(LOG.c.kblock_id, "late", postgresql=postgresql),
            LOG.c.updated_at >= bindparam("since", type_=UtcDateTime),
            unlisted(LOG.c.id, "recent", postgresql=postgresql),
            counts(LOG),
        )
        .cte("recorded")
    )
    readers = statistics.by_reader(new).cte("readers")
    own = and_(readers.c.user_id == READERS.c.user_id, readers.c.kblock_id == READERS.c.kblock_id)
    # The rows of readers have these events: a reader is new if they have nothing else.
    kblocks = statistics.by_kblock(
        readers,
        readers.join(READERS, own),
        is_new_viewer=READERS.c.view_count == readers.c.view_count,
        is_new_engager=READERS.c.engage_count == readers.c.engage_count,
    )
    rows = statistics.with_decayed(kblocks, new)
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    rows = rows.where(rows.selected_columns.view_count >= 0)
    return statistics.merge(insert_into, KBLOCKS, statistics.stamped(rows))
