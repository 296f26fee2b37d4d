"""Tombstones and receipts: when an erasure begins, what it removed, and when it ended.

A receipt without an end is an erasure that was interrupted: the next call continues it. Each
transaction that removes rows adds their number to the receipt, so the receipt is exact.
"""

import json
import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils import uuid7

from harken.database import Database, Kind
from harken.errors import NotFound
from harken.models import FeedErasure, FeedModel
from harken.models.types import UtcDateTime, table, utc_now
from harken.services.integrity.event_removal import COLUMN
from harken.services.integrity.holdings import count_holdings
from harken.services.record.admission.rules_token import renew
from harken.services.record.admission.subjects import Subject, digest
from harken.services.record.admission.tombstones import SECRET, SECRETS, TOMBSTONES
from harken.services.record.baseline.definitions import BASELINE_READERS
from harken.services.record.transaction import LOG

ERASURES = table(FeedErasure)
MODELS = table(FeedModel)


class Receipt(NamedTuple):
    """The receipt of an erasure, or of a dry run; `counts` are the removed rows by kind."""

    receipt_id: str | None  # None for a dry run
    subject: Subject
    digest: str | None  # the HMAC of the id; None if the database has no key for it yet
    began_at: datetime | None
    finished_at: datetime | None
    counts: dict[str, int]
    models: int
    """How many models may have been trained with the events."""
    is_compacted: bool = True
    """Whether nothing is left in the files of the database, as far as Harken can tell."""
    missing_files: int = 0
    """How many files of dropped events could not be read, so that they may have such events."""


class ReceiptStore:
    """The tombstones and receipts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.is_postgresql else sqlite.insert

    async def preview(self, subject: Subject, own_id: str) -> Receipt:
        """Return the receipt that an erasure would have now; nothing changes."""
        async with self._database.reading(Kind.BULK_READ) as connection:
            key = await _secret(connection)
            counts = await count_holdings(connection, subject, own_id)
            models = await _trained(connection, subject, own_id)
            named = None if key is None else digest(key, subject, own_id)
            return Receipt(None, subject, named, None, None, counts, len(models))

    async def start(self, subject: Subject, own_id: str) -> tuple[Receipt, bool]:
        """Set the tombstone, and return the receipt, with whether there is something to do.

        An interrupted erasure is continued. Raises NotFound if nothing is held and there is no
        tombstone.
        """
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await self._lock(connection)
            own = digest(await self._make_secret(connection), subject, own_id)
            unfinished = await _latest(connection, own, is_finished=False)
            if unfinished is not None:
                return unfinished, True
            counts = await count_holdings(connection, subject, own_id)
            if not any(counts.values()):
                return await self._nothing_held(connection, subject, own), False
            tombstone = self._insert(TOMBSTONES).values(
                digest=own, subject=subject.value, created_at=utc_now()
            )
            await connection.execute(tombstone.on_conflict_do_nothing())
            models = await _trained(connection, subject, own_id)
            await _mark(connection, models)
            receipt_id = str(uuid7())
            await connection.execute(
                insert(ERASURES).values(
                    receipt_id=receipt_id, subject=subject.value, digest=own,
                    began_at=utc_now(), counts="{}", models=len(models),
                )
            )  # fmt: skip
            return await _get(connection, receipt_id), True

    async def _nothing_held(
        self, connection: AsyncConnection, subject: Subject, own: str
    ) -> Receipt:
        known = select(TOMBSTONES.c.digest).where(TOMBSTONES.c.digest == own)
        latest = await _latest(connection, own, is_finished=True)
        if latest is None or (await connection.execute(known)).one_or_none() is None:
            raise NotFound(
                f"nothing is held on this {_NAMES[subject]}, so nothing was erased; check the id"
            )
        return latest

    async def add(
        self, connection: AsyncConnection, receipt_id: str, removed: Mapping[str, int]
    ) -> None:
        """Add numbers of removed rows to a receipt, whose row `lock` has locked."""
        receipt = await _get(connection, receipt_id)
        counts = dict(Counter(receipt.counts) + Counter(removed))
        changed = update(ERASURES).where(ERASURES.c.receipt_id == receipt_id)
        await connection.execute(changed.values(counts=json.dumps(counts)))

    async def lock(self, connection: AsyncConnection, receipt_id: str) -> None:
        """Lock a receipt until the transaction ends: two erasures of the same person take turns."""
        locked = select(ERASURES.c.receipt_id).where(ERASURES.c.receipt_id == receipt_id)
        await connection.execute(locked.with_for_update())

    async def current(self, receipt: Receipt) -> Receipt:
        """Return a receipt as it is now."""
        async with self._database.reading() as connection:
            return await _get(connection, str(receipt.receipt_id))

    async def finish(self, receipt: Receipt) -> Receipt:
        """End an erasure, and mark the models that were trained while it went on."""
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await self._lock(connection)
            known = await _get(connection, str(receipt.receipt_id))
            if known.finished_at is not None:
                return known
            meanwhile = select(MODELS.c.model_id).where(MODELS.c.created_at >= known.began_at)
            models = list((await connection.execute(meanwhile)).scalars())
            if not (known.counts.get("events") or known.counts.get("archived_events")):
                models = []
            await _mark(connection, models)
            await connection.execute(
                update(ERASURES)
                .where(ERASURES.c.receipt_id == receipt.receipt_id)
                .values(finished_at=utc_now(), models=ERASURES.c.models + len(models))
            )
            return await _get(connection, str(receipt.receipt_id))

    async def lift(self, subject: Subject, own_id: str) -> None:
        """Remove a tombstone. Raises NotFound if there is none."""
        async with self._database.transaction(Kind.WRITE) as connection:
            key = await _secret(connection)
            own = "" if key is None else digest(key, subject, own_id)
            gone = await connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.digest == own))
            if not gone.rowcount:
                raise NotFound(f"this {_NAMES[subject]} is not erased")
            await self._lock(connection)

    async def _lock(self, connection: AsyncConnection) -> None:
        """Replace the token: erasures begin and end one after another, and all processes notice."""
        await renew(connection, self._database)

    async def _make_secret(self, connection: AsyncConnection) -> str:
        new = self._insert(SECRETS).values(name=SECRET, value=secrets.token_urlsafe(32))
        await connection.execute(new.on_conflict_do_nothing())
        return str(await _secret(connection))


_NAMES = {Subject.READER: "reader", Subject.KBLOCK: "K-Block"}


async def _secret(connection: AsyncConnection) -> str | None:
    found = await connection.execute(select(SECRETS.c.value).where(SECRETS.c.name == SECRET))
    key: str | None = found.scalar_one_or_none()
    return key


async def _latest(connection: AsyncConnection, own: str, *, is_finished: bool) -> Receipt | None:
    ended = ERASURES.c.finished_at
    found = await connection.execute(
        select(ERASURES)
        .where(ERASURES.c.digest == own, ended.is_not(None) if is_finished else ended.is_(None))
        .order_by(ERASURES.c.began_at.desc())
        .limit(1)
    )
    row = found.one_or_none()
    return None if row is None else _receipt(row)


async def _get(connection: AsyncConnection, receipt_id: str) -> Receipt:
    found = await connection.execute(select(ERASURES).where(ERASURES.c.receipt_id == receipt_id))
    return _receipt(found.one())


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(
        row.receipt_id, Subject(row.subject), row.digest, row.began_at, row.finished_at,
        json.loads(row.counts), row.models,
    )  # fmt: skip


async def _trained(connection: AsyncConnection, subject: Subject, own_id: str) -> list[str]:
    """Return the models that are newer than the first event of a reader or a K-Block."""
    kept = BASELINE_READERS.c
    own = kept.user_id if subject is Subject.READER else kept.kblock_id
    firsts = (
        select(func.min(LOG.c.updated_at, type_=UtcDateTime)).where(COLUMN[subject] == own_id),
        select(func.min(kept.first_recorded_at, type_=UtcDateTime)).where(own == own_id),
    )
    found = [(await connection.execute(each)).scalar_one() for each in firsts]
    known = [at for at in found if at is not None]
    if not known:
        return []
    first = min(known)
    later = select(MODELS.c.model_id).where(MODELS.c.created_at >= first)
    return list((await connection.execute(later)).scalars())


async def _mark(connection: AsyncConnection, models: list[str]) -> None:
    if models:
        marked = update(MODELS).where(MODELS.c.model_id.in_(models))
        await connection.execute(marked.values(erasures=MODELS.c.erasures + 1))
