"""How often K-Blocks were shown lately: what exploration knows of its own pages.

A K-Block that was shown and not opened leaves no event. Only the ledger of served pages knows of
it. The counts are kept in memory: those of the newest pages at first use, then those of the pages
of all processes since.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from harken.domain.slates import ShownSlate
from harken.services.index.index import Floats, Index, Rows

SLATES = 5_000
"""The counts begin with so many of the newest pages."""
MOST_SLATES = 10 * SLATES
"""After so many pages the counts begin anew, which bounds their size."""
MAX_AGE_SECONDS = 1.0
OVERLAP = timedelta(seconds=10)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class ShownPages(Protocol):
    """The ledger of served pages, as far as it is needed here."""

    async def shown(self, since: datetime, most: int) -> list[ShownSlate]:
        """Return what the pages since a time showed, the latest last, at most `most`."""

    async def version(self) -> str:
        """Return a text that changes when readers are erased, set aside or released."""

    async def numbers(self, kblock_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of K-Blocks by id; unknown ones are left out."""


class Impressions:
    """Counts how often K-Blocks were shown; belongs to the event loop that first used it.

    A K-Block at position k, counted from 0, counts 1 / (1 + k): about so many readers look at it
    (Joachims, Swaminathan and Schnabel, Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017).
    """

    def __init__(
        self, pages: ShownPages, max_age: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        """`max_age` is how old the counts may be, in seconds of `clock`; `now` dates pages."""
        self._now = now
        self._pages = pages
        self._max_age = max_age
        self._clock = clock
        self._turns = asyncio.Lock()
        self._version = ""
        self._forget()

    def _forget(self) -> None:
        self._counts: dict[str, float] = {}
        self._numbers: dict[int, str] = {}  # ids by number
        self._new: list[str] = []  # ids whose numbers are not known yet
        self._seen: dict[str, None] = {}  # ids of pages
        self._counted = 0
        self._looked = float("-inf")
        self._latest = LONG_AGO

    async def of_rows(self, index: Index, numbers: Rows) -> Floats:
        """Return how often K-Blocks of an index were shown, at least as often as touched.

        `numbers` are theirs, and the result has the same shape. Raises DatabaseUnavailable.
        """
        rows = index.present(numbers)
        touched = np.where(rows >= 0, index.popularity[rows], 0)
        await self._refresh()
        ids = [self._numbers.get(number, "") for number in numbers.tolist()]
        return np.maximum(self._of(ids), touched)

    async def of_ids(self, kblock_ids: Sequence[str]) -> dict[str, float]:
        """Return how often each K-Block was shown, by id. Raises DatabaseUnavailable."""
        await self._refresh()
        return dict(zip(kblock_ids, self._of(kblock_ids).tolist(), strict=True))

    def _of(self, kblock_ids: Sequence[str]) -> Floats:
        return np.array([self._counts.get(each, 0.0) for each in kblock_ids], np.float64)

    async def _refresh(self) -> None:
        async with self._turns:
            if self._clock() - self._looked <= self._max_age:
                return
            version = await self._pages.version()
            if self._counted > MOST_SLATES or version != self._version:
                self._forget()
            self._version = version
            began = self._clock()
            # A page from the future, of a clock that was set back since, hides no later ones.
            since = min(self._latest, self._now()) - OVERLAP
            for slate in await self._pages.shown(since, SLATES):
                self._count(slate)
            if self._new:
                found = await self._pages.numbers(self._new)
                self._numbers |= {number: kblock_id for kblock_id, number in found.items()}
                self._new = []
            self._looked = began

    def _count(self, slate: ShownSlate) -> None:
        if slate.request_id in self._seen:
            return
        self._seen[slate.request_id] = None
        if len(self._seen) > 2 * SLATES:
            del self._seen[next(iter(self._seen))]
        self._counted += 1
        self._latest = max(self._latest, slate.created_at)
        for place, kblock_id in enumerate(slate.items, slate.position):
            if kblock_id not in self._counts:
                self._new.append(kblock_id)
            self._counts[kblock_id] = self._counts.get(kblock_id, 0.0) + 1 / (1 + place)
