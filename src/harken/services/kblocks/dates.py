"""When a K-Block was made, as every order and every age takes it.

The date of a K-Block is whatever its writer says. One that lies more than a day after the K-Block
first arrived says nothing about how new it is: then it counts as made when it arrived.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, false, true

from harken.domain.times import FORESIGHT, FutureItems
from harken.models.types import utc_micros

_FORESIGHT = FORESIGHT // timedelta(microseconds=1)


def created(
    kblocks: FromClause, future: FutureItems = FutureItems.SHOW, written: str = "updated_at"
) -> ColumnElement[Any]:
    """Select when K-Blocks count as made, in microseconds since 1970; null if it cannot be read.

    `written` is the column with the time of their last change, for those whose arrival nobody
    noted.
    """
    at = utc_micros(kblocks.c.created_at)
    if future is FutureItems.HIDE:  # until their date: what is shown is not ahead any more
        return at
    return case((_is_ahead(kblocks, written), utc_micros(_arrived(kblocks, written))), else_=at)


def is_scheduled(
    kblocks: FromClause, future: FutureItems, written: str = "updated_at"
) -> ColumnElement[bool]:
    """Select whether K-Blocks are to be hidden until they were made."""
    if future is FutureItems.SHOW:
        return false()
    return case((_is_ahead(kblocks, written), true()), else_=false())


def _arrived(kblocks: FromClause, written: str) -> ColumnElement[Any]:
    received = kblocks.c.received_at
    return case((received.is_(None), kblocks.c[written]), else_=received)


def _is_ahead(kblocks: FromClause, written: str) -> ColumnElement[bool]:
    at, arrived = kblocks.c.created_at, _arrived(kblocks, written)
    # Compared as they are kept first, which settles it for almost all of them.
    return case(
        (at <= arrived, false()),
        else_=utc_micros(at) > utc_micros(arrived) + _FORESIGHT,
    )
