"""The number that an event gets from the transaction that records it.

On PostgreSQL it is the id of the transaction, by the default of the column. Ids are given before
commits, and transactions are committed in another order; so a reader stops before the oldest
transaction that still runs (see `following`). SQLite has one writer at a time: there the number is
one more than the highest, in the order of commits.
"""

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import sqlite

from harken.models import FeedInteraction, FeedLogOrder
from harken.models.types import table

ORDER = table(FeedLogOrder)
_NUMBER = table(FeedInteraction).c.transaction_number


def newest() -> ColumnElement[int]:
    """Return the highest number that an event of an SQLite database has, or had; at least 0."""
    kept = select(func.max(_NUMBER)).where(_NUMBER.is_not(None)).scalar_subquery()
    floor = select(func.max(ORDER.c.floor)).scalar_subquery()
    return func.max(func.coalesce(kept, 0), func.coalesce(floor, 0))


def numbered(dialect: Any) -> dict[str, Any]:
    """Return the column of the number and its value, where the dialect has no default for it."""
    return {_NUMBER.name: newest() + 1} if dialect is sqlite else {}
