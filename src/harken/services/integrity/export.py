"""Everything that is held on a reader, as JSON, in pieces.

One snapshot is read, in pages, so that an export of any size needs little memory. No row is left
out: what cannot be read as JSON is given as the text that is stored.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic_core import to_json
from sqlalchemy import Select, Table, null, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from harken.database import Database, Kind
from harken.domain.fields import check_kept_identifier
from harken.services.integrity.alerts.alert_store import ALERTS, MEMBERS
from harken.services.integrity.holdings import set_aside
from harken.services.integrity.reader_tables import ORDERS_OF_SLATES, READER_TABLES, ReaderTable
from harken.services.record.admission.quarantines import QUARANTINES
from harken.services.record.admission.subjects import check_person
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.slates import ORDERS, SLATES
from harken.services.sources.store import SOURCES

PAGE = 1_000
ORDERS_AT_ONCE = 20

_JSON_COLUMNS = {
    "interaction_metadata", "settings", "items", "propensities", "principles", "weights",
    "interests", "muted_tags", "muted_authors", "muted_sources", "scores",
}  # fmt: skip


class PersonalData:
    """Exports what is held on readers in one database."""

    def __init__(
        self, session_factory: async_sessionmaker[AsyncSession], *, schema: str | None = None
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`."""
        self._database = Database(session_factory, schema)

    async def export(
        self, user_id: str, interests: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield a JSON object in pieces; lists in it are empty if nothing is held.

        `interests` is what was inferred from the reader's events. Raises InvalidInput for `guest`,
        or DatabaseUnavailable.
        """
        check_kept_identifier("id", user_id)
        check_person(user_id)
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            head = {"user_id": user_id, "exported_at": datetime.now(UTC), "interests": interests}
            yield to_json(head)[:-1]
            for name, wanted in _sections(user_id).items():
                async for piece in _list(connection, name, wanted):
                    yield piece
            for kept in ORDERS_OF_SLATES:
                async for piece in _orders(connection, kept, user_id):
                    yield piece
        yield b"}\n"


def _sections(user_id: str) -> dict[str, Select[Any]]:
    def of(declared: ReaderTable) -> Select[Any]:
        columns = declared.table.c
        wanted = select(*(each for each in columns if each.name != "user_id"))
        ordered = wanted.order_by(*(columns[each] for each in declared.order))
        return ordered.where(columns.user_id == user_id)

    return {
        **{each.name: of(each) for each in READER_TABLES},
        "quarantines": select(*QUARANTINES.c).where(set_aside(user_id)),
        "alerts": select(*ALERTS.c)
        .join(MEMBERS, MEMBERS.c.alert_id == ALERTS.c.alert_id)
        .where(MEMBERS.c.member_id == user_id)
        .order_by(ALERTS.c.found_at),
        "sources": select(SOURCES.c.url, SOURCES.c.given_title, SOURCES.c.added_at)
        .where(SOURCES.c.added_by == user_id)
        .order_by(SOURCES.c.added_at),
    }


async def _list(
    connection: AsyncConnection, name: str, wanted: Select[Any]
) -> AsyncIterator[bytes]:
    yield b',\n"%s":[' % name.encode()
    comma = b"\n"
    rows = await connection.stream(wanted)
    async for page in rows.mappings().partitions(PAGE):
        yield comma + b",\n".join(to_json(_readable(row)) for row in page)
        comma = b",\n"
    yield b"]"


def _readable(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(name): _parsed(value) if name in _JSON_COLUMNS else value for name, value in row.items()
    }


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


async def _orders(connection: AsyncConnection, kept: Table, user_id: str) -> AsyncIterator[bytes]:
    """Yield stored orders with the ids of their K-Blocks: those for later pages, or the samples."""
    yield b',\n"%s":[' % _ORDERS[kept].encode()
    comma, after = b"\n", ""
    while True:
        wanted = (
            select(
                kept.c.request_id,
                kept.c.numbers,
                SLATES.c.propensities,
                kept.c.created_at,
                kept.c.get("sides", null()).label("marks"),
            )
            .join(SLATES, SLATES.c.request_id == kept.c.request_id)
            .where(SLATES.c.user_id == user_id, kept.c.request_id > after)
            .order_by(kept.c.request_id)
            .limit(ORDERS_AT_ONCE)
        )
        rows = (await connection.execute(wanted)).all()
        if not rows:
            break
        after = rows[-1].request_id
        for row in rows:
            # An order with swapped pairs has marks, and no propensities of its own.
            is_swapped = kept is ORDERS and row.marks is not None
            is_sampled = kept is ORDERS and row.propensities is not None and not is_swapped
            ids = await _ids(connection, _numbers(row.numbers, is_sampled=is_sampled))
            order = {"request_id": row.request_id, "created_at": row.created_at, "kblock_ids": ids}
            yield comma + to_json(order)
            comma = b",\n"
    yield b"]"


_ORDERS = dict(zip(ORDERS_OF_SLATES, ("orders", "order_samples"), strict=True))


def _numbers(kept: bytes, *, is_sampled: bool) -> list[int]:
    """Return the numbers of an order as `record.ledger.entries.packed` stores it."""
    count = len(kept) // (12 if is_sampled else 4)
    return [int(each) for each in np.frombuffer(kept, "<u4", count)]


async def _ids(connection: AsyncConnection, numbers: Sequence[int]) -> list[str]:
    found = await connection.execute(
        select(KBLOCKS.c.number, KBLOCKS.c.id).where(KBLOCKS.c.number.in_(numbers))
    )
    ids = {row.number: row.id for row in found}
    return [ids[number] for number in numbers if number in ids]
