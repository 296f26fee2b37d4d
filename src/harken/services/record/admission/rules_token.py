"""The token of the rules about readers: which version a process knows, and who changes them.

`feed_tombstone_clock` has one row with a random token. Whoever erases a reader or sets one aside
locks that row, which orders these acts, and renews the token. Each statement that writes something
of a reader has the condition `is_current`: it compares the token of the rules that its process
knows with the stored one, in the snapshot in which it writes.
"""

import secrets
from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.models import FeedTombstoneClock
from harken.models.types import table

CLOCK = table(FeedTombstoneClock)

PARAMETER = "tombstones"
TOKEN = func.coalesce(select(CLOCK.c.token).where(CLOCK.c.id == 1).scalar_subquery(), "")


async def take_turn(connection: AsyncConnection, database: Database) -> None:
    """Wait for other transactions that correct statistics; later ones wait until this one ends."""
    new = _insert(database)(CLOCK).values({"id": 1, "token": ""})
    await connection.execute(new.on_conflict_do_nothing())
    await connection.execute(select(CLOCK.c.token).where(CLOCK.c.id == 1).with_for_update())


async def renew(connection: AsyncConnection, database: Database) -> None:
    """Replace the token, so that all processes read the tombstones and rules again."""
    new = _insert(database)(CLOCK).values(id=1, token=secrets.token_hex(16))
    await connection.execute(
        new.on_conflict_do_update(index_elements=[CLOCK.c.id], set_={"token": new.excluded.token})
    )


def _insert(database: Database) -> Any:
    return postgresql.insert if database.is_postgresql else sqlite.insert


def is_current() -> ColumnElement[bool]:
    """Tell whether the bound parameter `PARAMETER` is the stored token."""
    return bindparam(PARAMETER, type_=String) == TOKEN
