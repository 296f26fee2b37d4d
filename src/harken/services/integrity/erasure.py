"""Erases a reader, or the log of a K-Block: tombstone, removal, receipt.

    start       the tombstone and the receipt are committed: new events are refused from now on
    sweep       rows are removed in transactions of bounded size
    wait        for transactions that began before the tombstone
    sweep       removes what those transactions wrote
    files       the files of dropped events are written again without the subject
    finish      the receipt gets its end, and other processes forget what they keep in memory
    compact     the remains of deleted rows are removed from the files

`harken verify` finds no difference between any two transactions. An erasure that was interrupted is
continued by the next call.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from harken.database import Database, Kind
from harken.domain.fields import check_kept_identifier
from harken.services.integrity.archive.erasing import remove_baseline, remove_from_files
from harken.services.integrity.compaction import compact, overwrite_deleted
from harken.services.integrity.event_removal import remove_events
from harken.services.integrity.holdings import remove_holdings
from harken.services.integrity.receipts import Receipt, ReceiptStore
from harken.services.integrity.retrying import repeated
from harken.services.integrity.writers import wait_for_writers
from harken.services.kblocks.turns import read_again
from harken.services.record.admission.rules_token import take_turn
from harken.services.record.admission.subjects import Subject, check_person

LONGEST_PAUSE = 0.5
"""Seconds between two transactions of a sweep, at most."""


class Erasure:
    """Erases readers and logs of K-Blocks in one database."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`."""
        self._database = Database(session_factory, schema)
        self._receipts = ReceiptStore(self._database)

    async def preview(self, subject: Subject, own_id: str) -> Receipt:
        """Return what an erasure would remove now; nothing changes.

        Raises InvalidInput or DatabaseUnavailable.
        """
        check_erasable(subject, own_id)
        return await self._receipts.preview(subject, own_id)

    async def erase(self, subject: Subject, own_id: str, *, rebuild_file: bool = True) -> Receipt:
        """Erase a reader, or the log of a K-Block, and refuse their events from now on.

        `rebuild_file` is for SQLite: without it, writers need not wait for the file to be rebuilt,
        but remains of rows may be left in it. Raises NotFound if nothing is held, InvalidInput, or
        DatabaseUnavailable; after the last one, the next call continues.
        """
        check_erasable(subject, own_id)
        receipt, is_begun = await repeated(lambda: self._receipts.start(subject, own_id))
        if is_begun:
            await self._sweep(subject, own_id, receipt)
            await wait_for_writers(self._database)
            await self._sweep(subject, own_id, receipt)
        missing = await self._rewrite_files(subject, own_id, receipt)
        if is_begun:
            receipt = await repeated(lambda: self._receipts.finish(receipt))
        else:
            receipt = await self._receipts.current(receipt)
        done = await compact(self._database, rebuild_file=rebuild_file)
        return receipt._replace(is_compacted=done and not missing, missing_files=missing)

    async def readmit(self, subject: Subject, own_id: str) -> None:
        """Record events of an erased reader or K-Block again, from now on.

        Raises NotFound if there is no tombstone, InvalidInput or DatabaseUnavailable.
        """
        check_erasable(subject, own_id)
        await repeated(lambda: self._receipts.lift(subject, own_id))

    async def _sweep(self, subject: Subject, own_id: str, receipt: Receipt) -> None:
        for remove in (self._remove_events, self._remove_baseline, self._remove_holdings):
            began = time.monotonic()
            while await repeated(partial(remove, subject, own_id, receipt)):
                # Others get as much time as this transaction took.
                await asyncio.sleep(min(time.monotonic() - began, LONGEST_PAUSE))
                began = time.monotonic()

    async def _remove_events(self, subject: Subject, own_id: str, receipt: Receipt) -> int:
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, self._database)
            await self._receipts.lock(connection, str(receipt.receipt_id))
            await overwrite_deleted(connection, self._database)
            removal = await remove_events(connection, self._database, subject, own_id)
            counts = {"events": removal.events, "dismissals": removal.dismissals}
            await self._receipts.add(connection, str(receipt.receipt_id), counts)
            await read_again(connection, removal.vanished)
        return removal.events

    async def _remove_baseline(self, subject: Subject, own_id: str, receipt: Receipt) -> int:
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, self._database)
            await self._receipts.lock(connection, str(receipt.receipt_id))
            await overwrite_deleted(connection, self._database)
            removed, vanished = await remove_baseline(connection, self._database, subject, own_id)
            await self._receipts.add(connection, str(receipt.receipt_id), {"baseline": removed})
            await read_again(connection, vanished)
        return removed

    async def _rewrite_files(self, subject: Subject, own_id: str, receipt: Receipt) -> int:
        """Take the subject out of the files of dropped events; returns how many are missing."""
        receipt_id = str(receipt.receipt_id)

        async def note(connection: AsyncConnection, counts: Mapping[str, int]) -> None:
            await self._receipts.lock(connection, receipt_id)
            await self._receipts.add(connection, receipt_id, counts)

        return await remove_from_files(self._database, subject, own_id, note)

    async def _remove_holdings(self, subject: Subject, own_id: str, receipt: Receipt) -> int:
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, self._database)
            await self._receipts.lock(connection, str(receipt.receipt_id))
            await overwrite_deleted(connection, self._database)
            removed = await remove_holdings(connection, subject, own_id)
            await self._receipts.add(connection, str(receipt.receipt_id), removed)
        return sum(removed.values())


def check_erasable(subject: Subject, own_id: str) -> None:
    """Raise InvalidInput for an id that nothing can be held on, and for the guest."""
    check_kept_identifier("id", own_id)
    if subject is Subject.READER:
        check_person(own_id)
