"""The statements that enter slates, with what belongs to them, in one transaction.

On PostgreSQL they are one statement for any number of slates: its parameters are columns, and the
parts beside the slates are common table expressions of it. Each has the condition that the known
tombstones are the stored ones.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Column, DateTime, String, Table, bindparam, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, Prepared, translated
from harken.domain.exploration import PAIRED, Order
from harken.domain.slates import Exposure
from harken.models import FeedExposure, FeedOrder, FeedOrderSample, FeedSlate
from harken.models.types import UtcDateTime, table
from harken.services.record.admission import rules_token

SLATES = table(FeedSlate)
ORDERS = table(FeedOrder)
SAMPLES = table(FeedOrderSample)
EXPOSURES = table(FeedExposure)


class Into(StrEnum):
    """Where a part is written to. A tester's exposure marks one that is there already."""

    SLATES = "slate"
    ORDERS = "order"
    SAMPLES = "sample"
    EXPOSURES = "exposure"
    TESTERS = "tester"


_TABLES: dict[Into, Table] = {
    Into.SLATES: SLATES, Into.ORDERS: ORDERS, Into.SAMPLES: SAMPLES,
    Into.EXPOSURES: EXPOSURES, Into.TESTERS: EXPOSURES,
}  # fmt: skip


class Part(NamedTuple):
    """One row, without the time at which it is written, which all parts share."""

    into: Into
    values: dict[str, Any]


def exposed(exposure: Exposure, request_id: str | None) -> Part:
    """Return the row of an exposure; `request_id` is the page that led to it, if one did."""
    trial = exposure.trial
    values = {
        "experiment_id": trial.experiment_id, "experiment_version": trial.version,
        "user_id": exposure.user_id, "guest_session": trial.guest_session, "arm": trial.arm,
        "propensity": exposure.propensity, "is_personalized": exposure.is_personalized,
        "is_forced": trial.is_forced, "request_id": request_id,
        "allocation_version": exposure.allocation,
    }  # fmt: skip
    return Part(Into.TESTERS if trial.is_forced else Into.EXPOSURES, values)


Rows = dict[Into, list[dict[str, Any]]]


async def write_entries(
    database: Database, entries: Sequence[tuple[Sequence[Part], datetime]], token: str
) -> bool:
    """Commit the rows of entries, each with its time, in one transaction.

    Returns whether the tombstones were those of `token`, else nothing is written. Raises
    DatabaseUnavailable.
    """
    rows: Rows = {}
    for parts, at in entries:
        for part in parts:
            rows.setdefault(part.into, []).append(part.values | {"created_at": at})
    if Into.EXPOSURES in rows:  # rows that others write, too, are written in one order by all
        rows[Into.EXPOSURES].sort(key=_by_key)
    write = _write_postgresql if database.is_postgresql else _write_sqlite
    with translated():
        return await write(database, rows, token)


def _by_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in EXPOSURES.primary_key)


async def _write_postgresql(database: Database, rows: Rows, token: str) -> bool:
    kinds = tuple(sorted(rows, key=[*Into].index))
    values: dict[str, Any] = {
        _parameter(into, name): [row[name] for row in rows[into]]
        for into in kinds for name in rows[into][0]
    }  # fmt: skip
    values[rules_token.PARAMETER] = token
    return bool(await database.execute_alone(_whole(kinds), values, Kind.WRITE))


async def _write_sqlite(database: Database, rows: Rows, token: str) -> bool:
    async with database.transaction(Kind.WRITE) as connection:
        known = {rules_token.PARAMETER: token}
        if (await connection.execute(_CURRENT, known)).one_or_none() is None:
            return False
        for into, some in rows.items():
            await connection.execute(_resolved(into, sqlite.insert(_TABLES[into])), some)
        return True


_CURRENT = select(literal(1)).where(rules_token.is_current())


def _parameter(into: Into, column: str) -> str:
    return f"{into.value}_{column}"


def _element(column: Column[Any]) -> Any:
    """Return the type of a column as the driver takes it: without what SQLAlchemy adds to it."""
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return DateTime(timezone=True)
    return String() if isinstance(kind, String) else kind


def _inserted(into: Into) -> Any:
    """Return a statement that writes rows, given as columns, unless the tombstones changed."""
    target = _TABLES[into]
    kinds = {column.name: _element(column) for column in target.c}
    columns = (
        bindparam(_parameter(into, name), type_=postgresql.ARRAY(kind))
        for name, kind in kinds.items()
    )
    given = func.unnest(*columns).table_valued(*kinds, name=f"given_{into.value}").render_derived()
    row = select(*given.c).where(rules_token.is_current())
    return _resolved(into, postgresql.insert(target).from_select(list(kinds), row))


def _resolved(into: Into, new: Any) -> Any:
    """Return an insertion of rows that says what happens to those that are there already."""
    if into is Into.EXPOSURES:
        return new.on_conflict_do_nothing()
    if into is Into.TESTERS:
        keys = list(EXPOSURES.primary_key)
        return new.on_conflict_do_update(index_elements=keys, set_={"is_forced": True})
    return new


@cache
def _whole(kinds: tuple[Into, ...]) -> Prepared:
    """Return the statement that writes all rows in one round trip."""
    first, *others = kinds
    if first is Into.SLATES:
        whole = _inserted(first).returning(SLATES.c.request_id)
    else:  # a conflict returns no row, so the condition is asked for beside it
        whole, others = _CURRENT, [*kinds]
    for each in others:
        whole = whole.add_cte(_inserted(each).cte(f"new_{each.value}"))
    return Prepared(whole)


def packed(order: Order) -> dict[str, Any]:
    """Return the columns of an order in `feed_orders`.

    Numbers take 4 bytes each, followed by 8 bytes per propensity if it was sampled. Numbers are row
    numbers of an index, and far below 2^32. With twice the bytes, PostgreSQL would take a
    millisecond to compress them, so scores are kept of sampled orders only. An order has either
    sides or swapped pairs, and `sides` has one byte of them per number.
    """
    numbers = order.numbers.astype("<u4").tobytes()
    is_sampled = order.propensities is not None
    if order.propensities is not None:
        numbers += order.propensities.astype("<f8").tobytes()
    kept = order.scores if is_sampled else None
    sides = order.sides if order.pairs is None else order.pairs
    return {
        "numbers": numbers,
        "scores": None if kept is None else kept.astype("<f8").tobytes(),
        "sides": None if sides is None else sides.astype("<u1").tobytes(),
    }


def sampled(order: Order) -> dict[str, Any]:
    """Return the columns of an order in `feed_order_samples`: all numbers and scores."""
    scores = np.zeros(len(order.numbers)) if order.scores is None else order.scores
    return {
        "numbers": order.numbers.astype("<u4").tobytes(),
        "scores": scores.astype("<f8").tobytes(),
    }


def unpacked(
    numbers: object, scores: object = None, sides: object = None, *, is_sampled: bool
) -> Order | None:
    """Return an order from its columns; None if they do not fit together."""
    size = 12 if is_sampled else 4
    if not isinstance(numbers, bytes) or len(numbers) % size:
        return None
    count = len(numbers) // size
    order = Order(np.frombuffer(numbers, "<u4", count).astype(np.int64))
    if is_sampled:
        propensities = np.frombuffer(numbers, "<f8", count, offset=4 * count).astype(np.float64)
        order = order._replace(propensities=propensities)
    if isinstance(scores, bytes) and len(scores) == 8 * count:
        order = order._replace(scores=np.frombuffer(scores, "<f8").astype(np.float64))
    if isinstance(sides, bytes) and len(sides) == count:
        marks = np.frombuffer(sides, "<u1").astype(np.uint8)
        is_swapped = bool((marks & PAIRED).any())
        order = order._replace(pairs=marks) if is_swapped else order._replace(sides=marks)
    return order
