"""The ledger of served pages: a slate is committed before the page is sent."""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, exists, not_, select
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, Prepared, is_in_list, translated
from harken.domain.exploration import Order
from harken.domain.slates import Exposure, ShownSlate, Slate
from harken.domain.stored_kblock import labels as read
from harken.models import FeedExperiment, FeedSecret
from harken.models.types import table
from harken.services.record.admission.quarantines import has_counting_reader, later_quarantines
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.ledger.entries import (
    EXPOSURES,
    ORDERS,
    SAMPLES,
    SLATES,
    Into,
    Part,
    exposed,
    packed,
    sampled,
    unpacked,
)
from harken.services.record.ledger.groups import Entry, LedgerGroups
from harken.services.record.ledger.shown_kblocks import ShownKBlocks
from harken.unreadable_rows import Unreadable, parsed

SECRETS = table(FeedSecret)
EXPERIMENTS = table(FeedExperiment)
__all__ = ["EXPOSURES", "ORDERS", "SAMPLES", "SLATES", "SlateLedger"]

PAGE = 1_000
SLATE, NO_REMEDY = "slate", "it is deleted when its retention ends"


class SlateLedger:
    """The slates of one database, and the stored orders for their next pages."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Use the clock that also dates events, so that slates and their events are comparable."""
        self._database = database
        self._clock = clock
        self._tombstones = Tombstones(database)
        self._groups = LedgerGroups(database, self._tombstones)
        self._unreadable = Unreadable()
        self.kblocks = ShownKBlocks(database)
        """What feeds show of K-Blocks."""

    async def number(self, kblock_id: str) -> int | None:
        """Return the number of a K-Block; None if there is none with this id."""
        rows = await self._database.read(_NUMBER, {"kblock_id": kblock_id})
        return int(rows[0][0]) if rows else None

    async def labels(
        self, numbers: Sequence[int]
    ) -> dict[int, tuple[str | None, list[str], str | None]]:
        """Return the author, the tags and the name of the source of K-Blocks, by number."""
        rows = await self._database.read(
            _labels(self._database.is_postgresql), {"numbers": self._database.as_list(numbers)}
        )
        return {
            number: (author, list(read(tags) or ()), source)
            for number, author, tags, source in rows
        }

    async def enter(
        self, slate: Slate, order: Order | None = None,
        exposure: Exposure | None = None, sample: Order | None = None,
    ) -> None:  # fmt: skip
        """Commit a slate, with the order for the pages after it, if there is one.

        `exposure` is committed with it, unless the unit came into the experiment before. `sample`
        is an order that is kept as long as the slate, with its scores. Raises Erased if the reader
        was erased, or DatabaseUnavailable.
        """
        trial = slate.trial
        values = {
            "request_id": slate.request_id,
            "first_request_id": slate.first_request_id,
            "user_id": slate.user_id,
            "feed": slate.feed,
            "ranking": slate.ranking,
            "settings": json.dumps(slate.settings),
            "revision": slate.revision,
            "position": slate.position,
            "items": json.dumps(slate.items, ensure_ascii=False),
            "propensities": None if slate.propensities is None else json.dumps(slate.propensities),
            "session_id": slate.session_id,
            "experiment_id": None if trial is None else trial.experiment_id,
            "experiment_version": None if trial is None else trial.version,
            "arm": None if trial is None else trial.arm,
            "scores": None if slate.scores is None else json.dumps(slate.scores),
            "log_sum_exp": slate.log_sum_exp,
        }
        parts = [Part(Into.SLATES, values)]
        if order is not None:
            parts.append(Part(Into.ORDERS, {"request_id": slate.request_id} | packed(order)))
        if sample is not None:
            parts.append(Part(Into.SAMPLES, {"request_id": slate.request_id} | sampled(sample)))
        if exposure is not None:
            parts.append(exposed(exposure, slate.request_id))
        await self._groups.commit(Entry(slate.user_id, parts, self._clock()))

    async def expose(self, exposure: Exposure) -> None:
        """Commit an exposure that no page led to, unless the unit came in before.

        Raises Erased if the reader was erased, or DatabaseUnavailable.
        """
        await self._groups.commit(Entry(exposure.user_id, [exposed(exposure, None)], self._clock()))

    async def idle(self) -> None:
        """Return when nothing is being committed."""
        await self._groups.idle()

    async def readers(self, request_ids: Sequence[str]) -> dict[str, str]:
        """Return the readers of pages by `request_id`; unknown pages are left out."""
        if not request_ids:
            return {}
        rows = await self._database.read(
            _readers(self._database.is_postgresql), {"ids": self._database.as_list(request_ids)}
        )
        return {row[0]: row[1] for row in rows}

    async def order(self, request_id: str, *, is_sampled: bool = False) -> Order | None:
        """Return the order that a first page stored; None if it was deleted."""
        async with self._database.reading() as connection:
            columns = ORDERS.c.numbers, ORDERS.c.scores, ORDERS.c.sides
            found = await connection.execute(
                select(*columns).where(ORDERS.c.request_id == request_id)
            )
            kept = found.one_or_none()
        return None if kept is None else unpacked(*kept, is_sampled=is_sampled)

    async def settings(self, request_id: str) -> dict[str, Any] | None:
        """Return the settings of a slate; None if there is no such slate."""
        rows = await self._database.read(_SETTINGS, {"request_id": request_id})
        settings: dict[str, Any] | None = parsed(rows[0][0], dict) if rows else None
        if rows and settings is None:
            self._unreadable.name(SLATE, request_id, NO_REMEDY)
        return settings

    async def slate(self, request_id: str) -> dict[str, Any] | None:
        """Return a slate as it was served; None if there is no readable one with this id.

        `quarantines` tells how many quarantines set aside since what its order may have known.
        """
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(SLATES, later_quarantines(SLATES).label("quarantines")).where(
                    SLATES.c.request_id == request_id
                )
            )
            row = found.mappings().one_or_none()
        return None if row is None else self._parsed(row)

    async def sampled(self, feed: str | None = None) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the slates with propensities, in pages, from one snapshot.

        Those of readers in quarantine are left out.
        """
        wanted = select(*(SLATES.c[name] for name in _SAMPLED)).where(
            SLATES.c.propensities.is_not(None), has_counting_reader(SLATES)
        )
        if feed is not None:
            wanted = wanted.where(SLATES.c.feed == feed)
        ordered = wanted.order_by(SLATES.c.created_at, SLATES.c.request_id)
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            rows = await connection.stream(ordered)
            async for page in rows.mappings().partitions(PAGE):
                slates = [self._parsed(row) for row in page]
                yield [slate for slate in slates if slate is not None]

    async def shown(self, since: datetime, most: int) -> list[ShownSlate]:
        """Return what the pages since a time showed, the latest last, at most the latest `most`.

        Those of readers in quarantine are left out.
        """
        columns = (SLATES.c[name] for name in ShownSlate._fields)
        wanted = select(*columns).where(has_counting_reader(SLATES))
        latest = wanted.where(SLATES.c.created_at >= since).order_by(SLATES.c.created_at.desc())
        async with self._database.reading() as connection:
            rows = (await connection.execute(latest.limit(most))).all()
        return [
            ShownSlate(request_id, at, position, parsed(items, list) or [])
            for request_id, at, position, items in reversed(rows)
            if at is not None
        ]

    async def latest_rankings(self, slates: int) -> set[str]:
        """Return the names of the rankings of so many of the latest slates."""
        ordered = select(SLATES.c.ranking).order_by(SLATES.c.created_at.desc()).limit(slates)
        async with self._database.reading() as connection:
            return set((await connection.execute(ordered)).scalars())

    async def version(self) -> str:
        """Return a text that changes when readers are erased, set aside or released."""
        await self._tombstones.refresh()
        return self._tombstones.token

    async def numbers(self, kblock_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of K-Blocks by id; unknown ones are left out."""
        statement = _numbers(self._database.is_postgresql)
        listed = self._database.as_list(kblock_ids)
        rows = await self._database.read(statement, {"kblock_ids": listed})
        return {kblock_id: number for kblock_id, number in rows}  # noqa: C416 — rows are no tuples

    def _parsed(self, row: Mapping[Any, Any]) -> dict[str, Any] | None:
        """Return a slate with its JSON parsed; None if that fails."""
        found = {name: parsed(row[name], kind) for name, kind in _JSON.items()}
        if all(found[name] is not None or row[name] is None for name in _JSON):
            return dict(row) | found
        self._unreadable.name(SLATE, row["request_id"], NO_REMEDY)
        return None

    async def secret(self, name: str) -> str:
        """Return a key that all processes of this database share; the first caller creates it."""
        insert_new: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        new = insert_new(SECRETS).values(name=name, value=secrets.token_urlsafe(32))
        wanted = select(SECRETS.c.value).where(SECRETS.c.name == name)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(new.on_conflict_do_nothing())
                return str((await connection.execute(wanted)).scalar_one())

    async def forget(self, slates_before: datetime, orders_before: datetime) -> None:
        """Delete slates and orders from before the given times.

        Slates of an experiment are kept until it is decided: its results count them.
        """
        with translated():
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await connection.execute(delete(ORDERS).where(ORDERS.c.created_at < orders_before))
                await connection.execute(
                    delete(SAMPLES).where(SAMPLES.c.created_at < slates_before)
                )
                await connection.execute(
                    delete(SLATES).where(SLATES.c.created_at < slates_before, not_(_is_undecided()))
                )


def _is_undecided() -> ColumnElement[bool]:
    """Tell whether a slate is of an experiment whose results may still be asked for."""
    return exists().where(
        EXPERIMENTS.c.experiment_id == SLATES.c.experiment_id,
        EXPERIMENTS.c.experiment_version == SLATES.c.experiment_version,
        EXPERIMENTS.c.state != "decided",
    )


@cache
def _readers(postgresql: bool) -> Prepared:  # noqa: FBT001 — a key of the cache
    named = is_in_list(SLATES.c.request_id, "ids", postgresql=postgresql)
    return Prepared(select(SLATES.c.request_id, SLATES.c.user_id).where(named))


_NUMBER = Prepared(
    select(KBLOCKS.c.number).where(KBLOCKS.c.id == bindparam("kblock_id"), not_(KBLOCKS.c.deleted))
)
_JSON: Mapping[str, type] = {"settings": dict, "items": list, "propensities": list, "scores": list}
_SAMPLED = (*_JSON, "request_id", "first_request_id", "user_id", "feed", "ranking", "position")
_SETTINGS = Prepared(
    select(SLATES.c.settings).where(SLATES.c.request_id == bindparam("request_id"))
)


@cache
def _numbers(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    listed = is_in_list(KBLOCKS.c.id, "kblock_ids", postgresql=is_postgresql)
    return Prepared(select(KBLOCKS.c.id, KBLOCKS.c.number).where(listed))


@cache
def _labels(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    listed = is_in_list(KBLOCKS.c.number, "numbers", postgresql=is_postgresql)
    names = ("number", "author", "tags", "source")
    return Prepared(select(*(KBLOCKS.c[name] for name in names)).where(listed))
