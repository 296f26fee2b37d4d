"""What feeds show of K-Blocks, read by their numbers.

What was read at a revision of the K-Blocks holds as long as that is the present one, so that a page
seldom has to read it again. The title of a source has no revision; after `MAX_AGE_SECONDS` all is
read again. So an edit is on the next page as soon as the index knows of it, and the new title of a
source within this time, or at once if this process wrote it.
"""

import time
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import not_, select

from harken.database import Database, Prepared, is_in_list
from harken.domain.slates import ShownKBlock, SourceReference
from harken.domain.stored_kblock import labels
from harken.domain.times import from_micros
from harken.models import FeedSource
from harken.models.types import table, utc_micros
from harken.services.record import contradictions
from harken.services.record.batched_lookups import BatchedLookups
from harken.services.record.contradictions import KBLOCKS

SOURCES = table(FeedSource)
MAX_AGE_SECONDS = 1.0
MOST_BYTES = 16_000_000
"""So much memory is used, at most: some 4,000 K-Blocks with a preview of 300 letters."""
FIELDS = (
    "id", "title", "path", "preview", "layer", "kind", "author", "tags", "galois_loss",
    "source",
)  # fmt: skip

Row = tuple[Any, ...]


class _Known(NamedTuple):
    """A row, and what is made of it; of which revision it is, and when it was asked for."""

    row: Row
    shown: ShownKBlock | None
    revision: Hashable | None = None
    at: float = 0.0


class ShownKBlocks:
    """The shown fields of the K-Blocks of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lookups: BatchedLookups[int, _Known] = BatchedLookups(self._read)
        self._known: dict[int, _Known] = {}
        self._bytes = 0
        self._outdated = float("-inf")

    def forget(self) -> None:
        """Have all read again, because titles of sources have changed."""
        self._outdated = time.monotonic()

    async def of(
        self, numbers: Sequence[int], revision: Hashable | None = None
    ) -> dict[int, ShownKBlock]:
        """Return what is shown of K-Blocks by number; deleted ones are left out.

        `revision` is the present one as far as the caller knows, and that of another database is
        no equal; without it, all are read. Pages that wait at the same time share a query. Raises
        DatabaseUnavailable.
        """
        now, found, missing = time.monotonic(), dict[int, _Known](), list[int]()
        outdated = max(now - MAX_AGE_SECONDS, self._outdated)
        known = {} if revision is None else self._known
        for number in numbers:
            each = known.get(number)
            if each is not None and each.revision == revision and each.at > outdated:
                found[number] = each
            else:
                missing.append(number)
        if missing:
            read = await self._lookups.get_all(missing)
            for number in missing:
                if (each := read.get(number)) is not None:
                    # It was read after this call began, so it is not older than the revision.
                    found[number] = self._keep(number, each._replace(revision=revision, at=now))
        return {number: each.shown for number, each in found.items() if each.shown is not None}

    def _keep(self, number: int, known: _Known) -> _Known:
        self._drop(number)
        self._bytes += _size(known.row)
        self._known[number] = known
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._known)))
        return known

    def _drop(self, number: int) -> None:
        if (old := self._known.pop(number, None)) is not None:
            self._bytes -= _size(old.row)

    async def _read(self, numbers: list[int]) -> dict[int, _Known]:
        rows = await self._database.read(
            _asked(self._database.is_postgresql), {"numbers": self._database.as_list(numbers)}
        )
        return {row[-1]: self._made(tuple(row)) for row in rows}

    def _made(self, row: Row) -> _Known:
        """Return what is made of a row: the same object as long as the row is the same."""
        known = self._known.get(row[-1])
        return known if known is not None and known.row == row else _Known(row, _shown(row))

    async def conflicts(self, kblock_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the K-Blocks that contradict each of some, by its id."""
        found: dict[str, list[str]] = {kblock_id: [] for kblock_id in kblock_ids}
        async with self._database.reading() as connection:
            for kblock_id, other in await connection.execute(contradictions.others(kblock_ids)):
                found[kblock_id].append(other)
        return found


def _size(row: Row) -> int:
    """Return how many bytes a row takes at most, with what is made of it and its JSON."""
    return 2_000 + 5 * sum(len(value) for value in row if isinstance(value, str))


@cache
def _asked(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    columns = [KBLOCKS.c[name] for name in FIELDS]
    listed = is_in_list(KBLOCKS.c.number, "numbers", postgresql=is_postgresql)
    return Prepared(
        select(
            *columns,
            SOURCES.c.given_title,
            SOURCES.c.title,
            utc_micros(KBLOCKS.c.created_at),
            KBLOCKS.c.number,
        )
        .outerjoin_from(KBLOCKS, SOURCES, SOURCES.c.name == KBLOCKS.c.source)
        .where(listed, not_(KBLOCKS.c.deleted))
    )


def _shown(row: Row) -> ShownKBlock | None:
    """Return the shown fields of a K-Block; None if they cannot be read."""
    *values, given_title, title, created, _number = row
    fields = dict(zip(FIELDS, values, strict=True))
    tags = labels(fields["tags"])
    is_text = all(isinstance(fields[name], str) for name in ("title", "preview", "kind"))
    if created is None or tags is None or not is_text:
        return None
    fields["tags"] = list(tags)
    fields["source"] = SourceReference.of(fields["source"], given_title or title)
    return ShownKBlock(**fields, created_at=from_micros(created))
