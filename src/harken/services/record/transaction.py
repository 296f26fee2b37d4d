"""The transaction that records events in the log and in the statistics.

PostgreSQL executes it as a single statement, in one round trip:

    input          the entries, as arrays, in the order of their ids
    inserted       entries whose id was not in the log yet
    readers        increments by (reader, K-Block), from the inserted rows alone
    ├ merged into feed_user_engagement_stats, which tells who is new to a K-Block
    kblocks        increments by K-Block  ──▶ feed_engagement_stats
    contradicted   contradictions         ──▶ feed_contradictions
    hidden         dismissals             ──▶ feed_dismissals
    kept           saves, if there are any ──▶ feed_saves
    commented      comments, if there are any ──▶ feed_comments
    minutes        increments by minute   ──▶ feed_activity_minutes
    totals                                ──▶ feed_activity_totals

Entries of a quarantine are logged and written to feed_set_aside; they pass only through `hidden`,
`kept` and `commented`. Each of these kinds is another statement, sent only if needed.

Each step reads the result of the step before it. So rows are always locked in the same order, by
table and by key within a table, and two writers cannot deadlock.

SQLite cannot write inside a WITH. There the same steps are separate statements of a transaction.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    DateTime,
    FromClause,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from harken.database import Database, Kind, Prepared
from harken.domain.feedback import FeedbackAction, LogEntry
from harken.errors import Erased
from harken.models import FeedInteraction
from harken.models.types import table, utc_now, utc_text
from harken.services.record import statistics
from harken.services.record.admission import rules_token
from harken.services.record.admission.outcomes import Logged, Outcome
from harken.services.record.admission.quarantines import SET_ASIDE
from harken.services.record.admission.tombstones import MOST_ATTEMPTS, Tombstones, changing_often
from harken.services.record.comments import recording as comments
from harken.services.record.log_order.numbers import numbered
from harken.services.record.reading import effects
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS, MINUTES, READERS, TOTALS

LOG = table(FeedInteraction)
DISMISSALS, SAVES = effects.DISMISSALS, effects.SAVES

_TYPES: dict[str, Any] = {
    "dwell_time_ms": Integer(),
    "position": Integer(),
    "created_at": DateTime(timezone=True),
}


async def append(
    database: Database, entries: Sequence[LogEntry], shard: int, tombstones: Tombstones
) -> list[Outcome]:
    """Record entries and their statistics in one transaction; returns an outcome for each.

    Outcomes are in the order of the entries. An entry whose id is already in the log changes
    nothing: it is a duplicate if its content is the same, else an IdConflict. An entry whose reader
    or K-Block was erased is refused with Erased, and one from before the begin of the log with
    InvalidInput. Raises the database's own errors; then nothing was recorded, unless the connection
    broke during the commit.
    """
    for _ in range(MOST_ATTEMPTS):
        token, refused = tombstones.token, tombstones.refused(entries)
        first: dict[str, LogEntry] = {}
        for position, entry in enumerate(entries):
            if position not in refused:
                first.setdefault(entry.id, entry)
        too_old = tombstones.log_start.too_old(first.values())
        distinct = [first[entry_id] for entry_id in sorted(first.keys() - too_old)]
        bound = {"shard": shard, rules_token.PARAMETER: token}
        inserted = await _write(database, distinct, bound, tombstones.quarantines.marks(distinct))
        if inserted:
            break
        # Nothing was written: all entries are known or refused, or the tombstones changed.
        await tombstones.refresh()
        if tombstones.token == token:
            break
    else:
        raise changing_often()
    known = first
    if len(inserted) < len(first):
        known = first | await _read(database, [each for each in first if each not in inserted])
    log = Logged(first, known, inserted, too_old, tombstones.log_start)
    return [
        Erased() if position in refused else log.outcome(entry)
        for position, entry in enumerate(entries)
    ]


Marks = Sequence[tuple[str, str]]  # ids of entries that do not count, and of the rules


async def _write(
    database: Database, entries: list[LogEntry], bound: dict[str, Any], marks: Marks
) -> set[str]:
    if not entries:
        return set()
    write = _write_postgresql if database.is_postgresql else _write_sqlite
    return await write(database, entries, bound, marks)


async def _read(database: Database, ids: list[str]) -> dict[str, LogEntry]:
    async with database.transaction(Kind.READ) as connection:
        found = await connection.execute(
            select(*(LOG.c[name] for name in LogEntry._fields)).where(LOG.c.id.in_(ids))
        )
        return {row.id: LogEntry(*row) for row in found}


async def _write_postgresql(
    database: Database, entries: list[LogEntry], bound: dict[str, Any], marks: Marks
) -> set[str]:
    columns: dict[str, Any] = {
        name: list(values)
        for name, values in zip(LogEntry._fields, zip(*entries, strict=True), strict=True)
    }
    if marks:
        columns |= {"marked": [each for each, _ in marks], "rules": [rule for _, rule in marks]}
    texts = comments.texts_of(entries)
    columns |= comments.as_columns(texts)
    saving = effects.has_saves(entries)
    statement = _single_statement(marking=bool(marks), saving=saving, commenting=bool(texts))
    rows = await database.execute_alone(statement, columns | bound, Kind.WRITE)
    return {row[0] for row in rows}


async def _write_sqlite(
    database: Database, entries: list[LogEntry], bound: dict[str, Any], marks: Marks
) -> set[str]:
    statements = _sqlite_statements()
    place = LogEntry._fields.index("created_at")
    rows = [(*each[:place], utc_text(each.created_at), *each[place + 1 :]) for each in entries]
    async with database.transaction(Kind.WRITE) as connection:
        await connection.exec_driver_sql(statements.create)
        await connection.exec_driver_sql(statements.fill, rows)
        found = await database.execute_prepared(connection, statements.remove_known, bound)
        known = set(found.scalars())
        if len(known) < len(entries):
            actions = {entry.action for entry in entries}
            await database.execute_prepared(connection, statements.log, bound)
            if FeedbackAction.DISMISS in actions:
                await database.execute_prepared(connection, statements.hide, bound)
            if effects.has_saves(entries):
                await database.execute_prepared(connection, statements.keep, bound)
            if texts := comments.texts_of(entries):
                given = comments.as_json(texts)
                await database.execute_prepared(connection, statements.write, given)
            if marks:
                marked = {"marked": json.dumps(marks)}
                await database.execute_prepared(connection, statements.mark, marked)
                await database.execute_prepared(connection, statements.leave_out, {})
            for action, statement in statements.record:
                if action is None or action in actions:
                    await database.execute_prepared(connection, statement, bound)
        await database.execute_prepared(connection, statements.clear, {})
    return {entry.id for entry in entries} - known


def _insert(dialect: Any, rows: Select[Any]) -> Any:
    more = {"updated_at": utc_now(), **numbered(dialect)}
    wanted = rows.add_columns(*more.values())
    return dialect.insert(LOG).from_select([*LogEntry._fields, *more], wanted)


def _all_of(step: Any, least: int = 1) -> Any:
    # EXISTS would stop at the step's first row, and its other rows would be locked after those of
    # the next step. The count waits for all rows, even if it may be 0.
    return select(func.count()).select_from(step).scalar_subquery() >= least


@cache
def _single_statement(*, marking: bool, saving: bool, commenting: bool) -> Prepared:
    kinds = {name: _TYPES.get(name, String()) for name in LogEntry._fields}
    arrays = [bindparam(name, type_=postgresql.ARRAY(kind)) for name, kind in kinds.items()]
    entries = func.unnest(*arrays).table_valued(*kinds, name="input").render_derived()
    inserted = (
        _insert(postgresql, select(*entries.c).where(rules_token.is_current()))
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(*(LOG.c[name] for name in LogEntry._fields))
        .cte("inserted")
    )

    counting = _counting(inserted) if marking else inserted
    readers = statistics.by_reader(counting).cte("readers")
    merged = (
        statistics.merge(
            postgresql.insert,
            READERS,
            select(readers).order_by(readers.c.user_id, readers.c.kblock_id),
        )
        .returning(*(READERS.c[n] for n in ("user_id", "kblock_id", "view_count", "engage_count")))
        .cte("merged")
    )

    contradictions = statistics.by_contradiction(counting).cte("contradictions")
    dismissed = effects.dismissed(inserted).cte("dismissed")

    # A reader is new to a K-Block if the merged counts equal the increments. Each is in both: the
    # joins are full ones since PostgreSQL, which expects few rows, could else compare all with all.
    kblocks = statistics.by_kblock(
        readers,
        readers.outerjoin(
            merged,
            and_(readers.c.user_id == merged.c.user_id, readers.c.kblock_id == merged.c.kblock_id),
            full=True,
        ),
        is_new_viewer=merged.c.view_count == readers.c.view_count,
        is_new_engager=merged.c.engage_count == readers.c.engage_count,
    )
    scored = (
        statistics.merge(
            postgresql.insert,
            KBLOCKS,
            statistics.stamped(statistics.with_decayed(kblocks, counting, full=True)),
        )
        .returning(KBLOCKS.c.kblock_id)
        .cte("scored")
    )

    contradicted = (
        statistics.merge(
            postgresql.insert,
            CONTRADICTIONS,
            statistics.stamped(select(contradictions))
            .where(_all_of(scored))
            .order_by(contradictions.c.kblock_id, contradictions.c.other_id),
        )
        .returning(CONTRADICTIONS.c.kblock_id)
        .cte("contradicted")
    )
    hidden = (
        effects.hide(
            postgresql.insert,
            select(dismissed).where(_all_of(contradicted, least=0)).order_by(*dismissed.c),
        )
        .returning(DISMISSALS.c.kblock_id)
        .cte("hidden")
    )
    kept = effects.kept(inserted, _all_of(hidden, least=0)) if saving else hidden
    minutes = statistics.by_minute(counting).where(_all_of(kept, least=0)).cte("minutes")
    ticked = (
        statistics.merge(
            postgresql.insert,
            MINUTES,
            statistics.sharded(select(minutes)).order_by(minutes.c.minute),
        )
        .returning(MINUTES.c.minute)
        .cte("ticked")
    )
    totals = statistics.total(minutes).where(_all_of(ticked)).having(func.count() > 0)
    summed = statistics.merge(postgresql.insert, TOTALS, statistics.sharded(totals)).cte("summed")
    steps = [scored, contradicted, hidden, *([kept] if saving else []), ticked, summed]
    if commenting:  # new rows alone, for which nobody waits: their place is no matter
        steps.append(comments.written(inserted, postgresql).cte("commented"))
    return Prepared(select(inserted.c.id).add_cte(*steps))


def _counting(inserted: FromClause) -> FromClause:
    """Store the marks of inserted entries, and return the entries without a mark."""
    arrays = [bindparam(name, type_=postgresql.ARRAY(String())) for name in ("marked", "rules")]
    marks = func.unnest(*arrays).table_valued("id", "rule", name="marks").render_derived()
    rows = select(inserted.c.id, marks.c.rule).join(marks, marks.c.id == inserted.c.id)
    marked = (
        postgresql.insert(SET_ASIDE)
        .from_select(["interaction_id", "quarantine_id"], rows)
        .returning(SET_ASIDE.c.interaction_id)
        .cte("marked")
    )
    left = select(inserted).where(inserted.c.id.not_in(select(marked.c.interaction_id)))
    return left.cte("counting")


class _SqliteStatements(NamedTuple):
    """The statements of a transaction on SQLite; new entries are in a temporary table."""

    create: str
    fill: str
    # Deletes entries that are in the log, or all if the tombstones changed; returns their ids.
    remove_known: Prepared
    log: Prepared
    hide: Prepared  # for dismissals
    keep: Prepared  # for saves
    write: Prepared  # for comments
    mark: Prepared  # for entries that do not count
    leave_out: Prepared  # removes these from the temporary table
    record: list[tuple[FeedbackAction | None, Prepared]]  # with the action that it is needed for
    clear: Prepared


@cache
def _sqlite_statements() -> _SqliteStatements:
    inserted = Table(
        "harken_inserted",
        MetaData(),
        *(Column(name, LOG.c[name].type) for name in LogEntry._fields),
        prefixes=["TEMPORARY"],
    )
    readers = statistics.by_reader(inserted).subquery("readers")
    before = READERS.alias("before")
    kblocks = statistics.by_kblock(
        readers,
        readers.outerjoin(
            before,
            and_(readers.c.user_id == before.c.user_id, readers.c.kblock_id == before.c.kblock_id),
        ),
        is_new_viewer=func.coalesce(before.c.view_count, 0) == 0,
        is_new_engager=func.coalesce(before.c.engage_count, 0) == 0,
    )
    scored = statistics.stamped(statistics.with_decayed(kblocks, inserted))
    contradictions = statistics.by_contradiction(inserted).subquery("contradictions")
    contradicted = statistics.stamped(select(contradictions)).where(
        contradictions.c.kblock_id != ""
    )
    dismissed = effects.dismissed(inserted).subquery("dismissed")
    hidden = select(dismissed).where(dismissed.c.kblock_id != "")
    saved = effects.saved(inserted).subquery("saved")
    kept = select(saved).where(saved.c.kblock_id != "")
    minutes = statistics.by_minute(inserted).subquery("minutes")
    ticked = statistics.sharded(select(minutes)).where(_true(minutes.c))
    total = statistics.sharded(statistics.total(minutes)).where(_true(minutes.c))
    record: list[tuple[FeedbackAction | None, Any]] = [
        # K-Blocks first, since they read the counts of each reader before this transaction.
        (
            None,
            statistics.merge(sqlite.insert, KBLOCKS, scored.where(_true(scored.selected_columns))),
        ),
        (None, statistics.merge(sqlite.insert, READERS, select(readers).where(_true(readers.c)))),
        (FeedbackAction.CONTRADICT, statistics.merge(sqlite.insert, CONTRADICTIONS, contradicted)),
        (None, statistics.merge(sqlite.insert, MINUTES, ticked)),
        (None, statistics.merge(sqlite.insert, TOTALS, total)),
    ]
    dialect = sqlite.dialect()
    is_logged = inserted.c.id.in_(select(LOG.c.id))
    known = delete(inserted).where(or_(is_logged, not_(rules_token.is_current())))
    mark = func.json_each(bindparam("marked", type_=String)).table_valued("value").c.value
    rows = select(
        func.json_extract(mark, "$[0]", type_=String).label("id"),
        func.json_extract(mark, "$[1]", type_=String).label("rule"),
    ).subquery("marks")
    marks = select(rows).where(rows.c.id.in_(select(inserted.c.id)))
    is_marked = inserted.c.id.in_(select(SET_ASIDE.c.interaction_id))
    return _SqliteStatements(
        create=str(CreateTable(inserted, if_not_exists=True).compile(dialect=dialect)),
        fill=str(insert(inserted).compile(dialect=dialect)),
        remove_known=Prepared(known.returning(inserted.c.id)),
        log=Prepared(_insert(sqlite, select(inserted))),
        hide=Prepared(effects.hide(sqlite.insert, hidden)),
        keep=Prepared(effects.keep(sqlite.insert, kept)),
        write=Prepared(comments.written(inserted, sqlite)),
        mark=Prepared(insert(SET_ASIDE).from_select(["interaction_id", "quarantine_id"], marks)),
        leave_out=Prepared(delete(inserted).where(is_marked)),
        record=[(action, Prepared(step)) for action, step in record],
        clear=Prepared(delete(inserted)),
    )


def _true(columns: Any) -> Any:
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    return columns.view_count >= 0
