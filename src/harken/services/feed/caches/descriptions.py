"""The content of K-Blocks, described to a state of readers' histories as they are needed."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import func, select

from harken.database import Database, Prepared, is_in_list
from harken.domain.stored_kblock import folder, labels
from harken.domain.times import FutureItems
from harken.event_loop import Interruptible
from harken.models.types import utc_micros
from harken.services.features.state import Features
from harken.services.index.index import Rows
from harken.services.index.rows import IndexRow
from harken.services.kblocks import dates
from harken.services.readers.item_attributes import LETTERS_PER_WORD
from harken.services.record.contradictions import KBLOCKS


class Descriptions:
    """What one state was told of K-Blocks.

    A state that is rebuilt gets another object, and requests that began with the earlier state go
    on with its own; so neither knows less than its object says.
    """

    def __init__(self, database: Database, state: Features, future: FutureItems) -> None:
        self._database = database
        self._affinities = state.affinities
        self._future = future
        self._places = np.zeros((0, 2), np.int64)  # by number: version, and place in the state
        self._described: set[str] = set()
        self._numbers: dict[int, int] = {}  # by place

    def numbers(self, places: Rows) -> Rows:
        """Return the numbers of K-Blocks by their places; unknown ones are left out."""
        found = (self._numbers.get(place, -1) for place in places.tolist())
        numbers = np.fromiter(found, np.int64, len(places))
        return numbers[numbers >= 0]

    async def of_rows(self, entries: Iterable[IndexRow]) -> None:
        """Describe the present versions of K-Blocks. Raises DatabaseUnavailable."""
        known = [(each.number, each.version) for each in entries if each.version]
        numbers, versions = np.array(known, np.int64).reshape(-1, 2).T
        await self.places(numbers, versions)

    async def places(self, numbers: Rows, versions: Rows) -> Rows:
        """Return the places of versions of K-Blocks, after these are described.

        Raises DatabaseUnavailable.
        """
        most = int(numbers.max(initial=0))
        if most >= len(self._places):
            self._places = np.concatenate([self._places, np.zeros((most + 1, 2), np.int64)])
        # Another request may replace the array meanwhile; then this one is forgotten.
        known = self._places
        unknown = known[numbers, 0] != versions
        if unknown.any():
            known[numbers[unknown], 1] = await self._read(numbers[unknown])
            known[numbers[unknown], 0] = versions[unknown]
        places: Rows = known[numbers, 1]
        return places

    async def of_ids(self, kblock_ids: set[str]) -> None:
        """Describe K-Blocks that are not described yet. Raises DatabaseUnavailable."""
        unknown = list(kblock_ids - self._described)
        if not unknown:
            return
        statement = _contents_by("id", self._future, postgresql=self._database.is_postgresql)
        listed = self._database.as_list(unknown)
        loop = Interruptible()
        for row in await self._database.read(statement, {"values": listed}):
            await loop.pause()
            self._describe(row)
        self._described.update(unknown)

    async def _read(self, numbers: Rows) -> Rows:
        statement = _contents_by("number", self._future, postgresql=self._database.is_postgresql)
        listed = self._database.as_list(numbers.tolist())
        rows = await self._database.read(statement, {"values": listed})
        places = {row[0]: self._describe(row) for row in rows}
        return np.array([places.get(number, 0) for number in numbers.tolist()], np.int64)

    def _describe(self, row: Sequence[Any]) -> int:
        """Describe a K-Block; returns its place in the state."""
        number, kblock_id, author, tags, principles, layer, *others = row
        path, source, letters, created, received = others
        self._described.add(kblock_id)
        self._affinities.describe(
            kblock_id,
            author=author,
            tags=labels(tags) or (),
            principles=labels(principles) or (),
            layer=layer,
            folder=folder(path),
            source=source,
            words=(letters or 0) // LETTERS_PER_WORD,
            created_at=dates.appeared(created, received, source),
            text=number,
        )
        place = self._affinities.place(kblock_id)
        self._numbers[place] = number
        return place


@cache
def _contents_by(name: str, future: FutureItems, *, postgresql: bool) -> Prepared:
    columns = KBLOCKS.c
    return Prepared(
        select(
            columns.number,
            columns.id,
            columns.author,
            columns.tags,
            columns.principles,
            columns.layer,
            columns.path,
            columns.source,
            func.length(columns.content),
            dates.created(KBLOCKS, future),
            utc_micros(columns.received_at),
        ).where(is_in_list(columns[name], "values", postgresql=postgresql))
    )
