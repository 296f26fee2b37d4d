"""Takes a partition out of the log, at the end of a transaction that counted its events elsewhere.

Everybody who uses partitions of timed ids waits for it: for a moment, since the rows are not
deleted one by one.
"""

import asyncio
from typing import Any

from sqlalchemy import Select, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import FailureKind, classify
from harken.services.integrity.partitions.layout import (
    TIMED,
    UNTIMED,
    Partition,
    lock_snapshots,
    run,
)
from harken.services.integrity.partitions.making import LOCK_TIMEOUT
from harken.services.integrity.writers import qualified
from harken.services.record.transaction import LOG

PAUSES = (0.5, 1, 2, 4, 8, 8, 8)
"""Seconds between two attempts to get the locks: those who began before are waited for."""


class InUse(Exception):
    """Others use the log for too long."""


async def remove(connection: AsyncConnection, partition: Partition, stay: Select[Any]) -> None:
    """Remove a partition but for the rows of a SELECT, which move to another one. Raises InUse."""
    await _lock(connection, partition.name)
    own, timed = (qualified(connection, each) for each in (partition.name, TIMED))
    await run(connection, f"ALTER TABLE {timed} DETACH PARTITION {own}")
    await connection.execute(insert(LOG).from_select([each.name for each in LOG.columns], stay))
    await run(connection, f"DROP TABLE {own}")


async def _lock(connection: AsyncConnection, name: str) -> None:
    """Lock in the order in which others do: the log's parts from above."""
    tables = [qualified(connection, each) for each in (TIMED, name, UNTIMED)]
    for pause in PAUSES:
        try:
            async with connection.begin_nested():
                await connection.execute(LOCK_TIMEOUT)
                await lock_snapshots(connection)
                await run(
                    connection,
                    *(f"LOCK TABLE ONLY {each} IN ACCESS EXCLUSIVE MODE" for each in tables),
                )
        except DBAPIError as error:
            if classify(error) is not FailureKind.RETRY:
                raise
        else:
            return
        await asyncio.sleep(pause)
    raise InUse
