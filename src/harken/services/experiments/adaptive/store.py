"""Versions of allocations in the database, and the arms that units were exposed to."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Prepared
from harken.models import FeedAllocation, FeedExposure
from harken.models.types import table
from harken.services.experiments.adaptive.versions import Allocation, Allocations, Assigned
from harken.unreadable_rows import parsed

ALLOCATIONS = table(FeedAllocation)
EXPOSURES = table(FeedExposure)
Key = tuple[str, int]
"""The id and the version of an experiment."""


class KeptArms:
    """The arms that units of adaptive experiments were first exposed to, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, key: Key, user_id: str, guest_session: str) -> Assigned | None:
        """Return what a unit was exposed to; None if it was not, or if it is a tester.

        Raises DatabaseUnavailable.
        """
        rows = await self._database.read(
            _KEPT, dict(zip(_KEYS, (*key, user_id, guest_session), strict=True))
        )
        return Assigned(*rows[0]) if rows else None


_KEYS = ("experiment_id", "experiment_version", "user_id", "guest_session")
_KEPT = Prepared(
    select(EXPOSURES.c.arm, EXPOSURES.c.propensity, EXPOSURES.c.allocation_version).where(
        *(EXPOSURES.c[name] == bindparam(name) for name in _KEYS), EXPOSURES.c.is_forced.is_(False)
    )
)


async def add_allocation(connection: AsyncConnection, key: Key, allocation: Allocation) -> None:
    """Add a version within a transaction."""
    row = {
        "experiment_id": key[0], "experiment_version": key[1],
        "allocation_version": allocation.version,
        "shares": json.dumps(dict(allocation.shares), ensure_ascii=False),
        "in_force_at": allocation.in_force_at, "computed_at": allocation.computed_at,
        "computed_by": allocation.computed_by, "readers": allocation.readers,
    }  # fmt: skip
    await connection.execute(insert(ALLOCATIONS).values(row))


async def read_allocations(
    connection: AsyncConnection, keys: Sequence[Key]
) -> dict[Key, Allocations]:
    """Return the allocations of experiments; one with a row that cannot be read is left out."""
    if not keys:
        return {}
    wanted = select(ALLOCATIONS).where(or_(*map(_is, keys)))
    ordered = wanted.order_by(ALLOCATIONS.c.allocation_version)
    found: dict[Key, list[Allocation | None]] = {}
    for row in (await connection.execute(ordered)).all():
        key = row.experiment_id, row.experiment_version
        found.setdefault(key, []).append(_read(row))
    return {
        key: Allocations(tuple(each for each in versions if each is not None))
        for key, versions in found.items()
        if None not in versions
    }


def _is(key: Key) -> ColumnElement[bool]:
    return and_(ALLOCATIONS.c.experiment_id == key[0], ALLOCATIONS.c.experiment_version == key[1])


def _read(row: Any) -> Allocation | None:
    shares: Mapping[str, Any] | None = parsed(row.shares, dict)
    if not shares or not all(isinstance(each, float | int) for each in shares.values()):
        return None
    if row.in_force_at is None or row.computed_at is None:
        return None
    return Allocation(
        row.allocation_version, {name: float(each) for name, each in shares.items()},
        row.in_force_at, row.computed_at, row.computed_by, row.readers,
    )  # fmt: skip
