"""The statements that enter slates, with what belongs to them, in one transaction.

On PostgreSQL they are one statement: the parts beside the slate are common table expressions of it.
Each has the condition that the known tombstones are the stored ones.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Table, bindparam, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, Prepared, translated
from harken.domain.exploration import PAIRED, Order
from harken.domain.slates import Exposure
from harken.models import FeedExposure, FeedOrder, FeedOrderSample, FeedSlate
from harken.models.types import table
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


async def write_parts(database: Database, parts: Sequence[Part], at: datetime, token: str) -> bool:
    """Commit rows; returns whether the tombstones were those of `token`, else nothing is written.

    Raises DatabaseUnavailable.
    """
    values = {
        _parameter(part.into, name): value
        for part in parts
        for name, value in (part.values | {"created_at": at}).items()
    } | {rules_token.PARAMETER: token}
    kinds = tuple(part.into for part in parts)
    with translated():
        if database.is_postgresql:
            return bool(await database.execute_alone(_whole(kinds), values, Kind.WRITE))
        async with database.transaction(Kind.WRITE) as connection:
            if (await connection.execute(_CURRENT, values)).one_or_none() is None:
                return False
            for kind in kinds:
                await connection.execute(_insert(kind, is_postgresql=False), values)
            return True


_CURRENT = select(literal(1)).where(rules_token.is_current())


def _parameter(into: Into, column: str) -> str:
    return f"{into.value}_{column}"


@cache
def _insert(into: Into, *, is_postgresql: bool) -> Any:
    """Return a statement that writes one row, unless the tombstones changed."""
    target = _TABLES[into]
    row = select(
        *(bindparam(_parameter(into, each.name), type_=each.type) for each in target.c)
    ).where(rules_token.is_current())
    insert: Any = postgresql.insert if is_postgresql else sqlite.insert
    new = insert(target).from_select(list(target.c), row)
    if into is Into.EXPOSURES:
        return new.on_conflict_do_nothing()
    if into is Into.TESTERS:
        keys = list(EXPOSURES.primary_key)
        return new.on_conflict_do_update(index_elements=keys, set_={"is_forced": True})
    return new


@cache
def _whole(kinds: tuple[Into, ...]) -> Prepared:
    """Return the statement that writes all parts in one round trip."""
    first, *others = kinds
    if first is Into.SLATES:
        whole = _insert(first, is_postgresql=True).returning(SLATES.c.request_id)
    else:  # a conflict returns no row, so the condition is asked for beside it
        whole, others = _CURRENT, [*kinds]
    for each in others:
        whole = whole.add_cte(_insert(each, is_postgresql=True).cte(f"new_{each.value}"))
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
