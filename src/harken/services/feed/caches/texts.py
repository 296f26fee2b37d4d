"""The texts of all K-Blocks of one database as vectors, kept up to date.

They are read when a reader's taste is first needed, the latest K-Blocks first, in the background: a
large collection takes some seconds (docs/benchmarks.md). Until then, the others count as without
text. Later, changed K-Blocks are read by revision.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from harken.database import Database, Prepared
from harken.errors import Closed
from harken.event_loop import Interruptible
from harken.services.record.contradictions import KBLOCKS
from harken.services.texts.terms import LETTERS, Terms, terms_of
from harken.services.texts.vectors import TextVectors
from harken.single_flight import SingleFlight

PATIENCE_SECONDS = 5.0
"""Requests wait for texts that are being read for so long, and then go without the rest."""
PAGE = 250
# So many texts are added before other tasks of the event loop run.
TURN = 50
_ABOVE_ALL = 2**62


class Texts:
    """Keeps a `TextVectors` up to date; the keys are the numbers of K-Blocks.

    Belongs to the event loop that first used it.
    """

    def __init__(self, database: Database) -> None:
        self.vectors = TextVectors()
        self._database = database
        self._revision = -1  # up to which all texts are known
        self._reading: SingleFlight[None] = SingleFlight("harken-texts")
        self._began = 0.0
        """When the reading that goes on, or went on last, began, as of the event loop."""

    async def fresh(self, revision: int) -> None:
        """Bring the texts to a revision, or wait until that goes on for `PATIENCE_SECONDS`.

        So the reading of a large collection delays the first requests, and not each of those that
        come while it goes on. After `close`, the texts stay as they are. Raises
        DatabaseUnavailable.
        """
        while self._revision < revision:
            try:
                reading = self._reading.start(lambda: self._begin(revision))
                left = self._began + PATIENCE_SECONDS - asyncio.get_running_loop().time()
                if not await self._reading.finish(reading, max(left, 0)):
                    return
            except Closed:
                return

    async def close(self) -> None:
        """Stop reading."""
        self._reading.stop()
        await self._reading.close()

    def _begin(self, revision: int) -> Coroutine[Any, Any, None]:
        self._began = asyncio.get_running_loop().time()
        return self._read(revision)

    async def _read(self, revision: int) -> None:
        if self._revision < 0:
            await self._read_all()
        else:
            await self._read_changed()
        self._revision = revision

    async def _read_all(self) -> None:
        before = _ABOVE_ALL
        while rows := await self._database.read(_page(), {"before": before}):
            await self._put(rows)
            before = rows[-1][0]

    async def _read_changed(self) -> None:
        after = (self._revision, -1)
        while True:
            rows = await self._database.read(
                _changed(), {"revision": after[0], "same": after[0], "number": after[1]}
            )
            if not rows:
                return
            for row in rows:
                if row[4]:
                    self.vectors.remove(row[0])
            await self._put([row for row in rows if not row[4]])
            after = (rows[-1][3], rows[-1][0])

    async def _put(self, rows: Sequence[Sequence[Any]]) -> None:
        found = await asyncio.to_thread(_terms, rows)
        loop = Interruptible()
        for start in range(0, len(found), TURN):
            self.vectors.put(found[start : start + TURN])
            await loop.pause()


def _terms(rows: Sequence[Sequence[Any]]) -> list[tuple[int, Terms]]:
    return [(row[0], terms_of(row[1] or "", row[2] or "")) for row in rows]


def _selected() -> Select[Any]:
    columns = KBLOCKS.c
    return select(
        columns.number,
        columns.title,
        func.substr(columns.content, 1, LETTERS),
        columns.revision,
        columns.deleted,
    ).limit(PAGE)


@cache
def _page() -> Prepared:
    columns = KBLOCKS.c
    return Prepared(
        _selected()
        .where(columns.number < bindparam("before"), columns.deleted.is_(False))
        .order_by(columns.number.desc())
    )


@cache
def _changed() -> Prepared:
    columns = KBLOCKS.c
    is_later = (columns.revision > bindparam("revision")) | (
        (columns.revision == bindparam("same")) & (columns.number > bindparam("number"))
    )
    return Prepared(_selected().where(is_later).order_by(columns.revision, columns.number))
