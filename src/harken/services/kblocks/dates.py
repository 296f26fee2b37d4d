"""The creation time of a K-Block that rankings and ages use.

The date of a K-Block is given by its writer. If it is more than a day after the K-Block first
arrived, it does not tell how new the K-Block is: then the time of the first arrival is used.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, false, true

from harken.domain.times import FORESIGHT, FutureItems
from harken.models.types import utc_micros

UNDATED_AGE = timedelta(days=30)
"""What was imported from files without a date counts as so old when it arrived."""
_FILES = ("markdown:", "jsonl:")
_AT_ARRIVAL = 10 * 1_000_000  # microseconds between two readings of the clock while it is written
_FORESIGHT = FORESIGHT // timedelta(microseconds=1)


def created(
    kblocks: FromClause, future: FutureItems = FutureItems.SHOW, written: str = "updated_at"
) -> ColumnElement[Any]:
    """Select the creation time of K-Blocks in microseconds since 1970; null if it is unreadable.

    `written` is the column of their last change. It is used for K-Blocks without a first arrival.
    """
    at = utc_micros(kblocks.c.created_at)
    if future is FutureItems.HIDE:  # shown from their date on: then it is not in the future
        return at
    return case((_is_ahead(kblocks, written), utc_micros(_arrived(kblocks, written))), else_=at)


def appeared(created: int | None, received: int | None, source: str | None) -> int | None:
    """Return the time from which the age of a K-Block counts; all in microseconds since 1970.

    A file without a date gets the time of its import as its date, which does not make it new.
    """
    if created is None or received is None or not (source or "").startswith(_FILES):
        return created
    is_undated = abs(created - received) < _AT_ARRIVAL
    return created - UNDATED_AGE // timedelta(microseconds=1) if is_undated else created


def is_scheduled(
    kblocks: FromClause, future: FutureItems, written: str = "updated_at"
) -> ColumnElement[bool]:
    """Select whether K-Blocks are to be hidden until their date."""
    if future is FutureItems.SHOW:
        return false()
    return case((_is_ahead(kblocks, written), true()), else_=false())


def _arrived(kblocks: FromClause, written: str) -> ColumnElement[Any]:
    received = kblocks.c.received_at
    return case((received.is_(None), kblocks.c[written]), else_=received)


def _is_ahead(kblocks: FromClause, written: str) -> ColumnElement[bool]:
    at, arrived = kblocks.c.created_at, _arrived(kblocks, written)
    # The stored values are compared first, which is cheap and decides almost all cases.
    return case(
        (at <= arrived, false()),
        else_=utc_micros(at) > utc_micros(arrived) + _FORESIGHT,
    )
