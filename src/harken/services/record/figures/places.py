"""What tells how much of click-through is place: swapped pairs, and items at several places."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import ColumnElement, Select, Subquery, and_, func, select

from harken.database import Kind
from harken.domain.feedback import GUEST
from harken.services.record.figures.shown_items import (
    Pages,
    SlateFigures,
    acts,
    bounded,
    chosen,
    impressions,
    whole,
)
from harken.services.record.ledger.entries import SLATES
from harken.services.record.window_analytics import Window, asked_window

PLACES = 10
"""How many places, from the first, are compared."""

MOST_ITEMS = 5_000

Numbers = NDArray[np.int64]


class PlaceCounts(NamedTuple):
    """What a window tells of places.

    pairs: for each reader of swapped pairs, how often they chose one of the two alone (shape:
    readers × 4): the upper and the lower one of a pair in its own order, then of a turned pair.
    items: for each K-Block that stood first and lower, impressions and clicks at the first place,
    then at the others of the first `PLACES` (shape: K-Blocks × 4).
    """

    window: Window
    pairs: Numbers
    items: Numbers


class PlaceFigures(SlateFigures):
    """Counts of places of one database."""

    async def counts(
        self,
        pages: Pages = Pages(),  # noqa: B008 — it cannot change
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> PlaceCounts:
        """Return the counts of a window; the default one is the last 30 days.

        Of K-Blocks, at most the 5,000 with the most impressions are counted. Raises InvalidInput,
        DatabaseUnavailable.
        """
        asked = asked_window(since, until, self._clock())
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            window = await bounded(connection, asked, *self._most)
            found = impressions(window, pages, postgresql=self._database.is_postgresql)
            items = [whole(row) for row in await connection.execute(_by_item(found))]
            swapped = (await connection.execute(_swapped(window, pages))).all()
            clicked = (await connection.execute(_clicked(window, pages))).all() if swapped else []
        pairs = await asyncio.to_thread(_pairs, swapped, clicked)
        return PlaceCounts(window, pairs, np.array(items, np.int64).reshape(-1, 4))


def _by_item(found: Subquery) -> Select[Any]:
    first, lower = found.c.place == 0, and_(found.c.place > 0, found.c.place < PLACES)
    clicked = found.c.clicks == 1
    columns: list[ColumnElement[Any]] = [
        func.count().filter(where) for where in (first, first & clicked, lower, lower & clicked)
    ]
    return (
        select(*columns)
        .where(found.c.place < PLACES)
        .group_by(found.c.kblock_id)
        .having(columns[0] > 0, columns[2] > 0)
        .order_by(func.count().desc(), found.c.kblock_id)
        .limit(MOST_ITEMS)
    )


def _has_pairs() -> Any:
    return SLATES.c.settings.contains('"pairs"', autoescape=True)


def _swapped(window: Window, pages: Pages) -> Select[Any]:
    """Select the pages with swapped pairs."""
    page = chosen(window, pages, SLATES.c.settings).where(_has_pairs()).subquery("page")
    return select(page.c.request_id, page.c.user_id, page.c["items"], page.c.settings)


def _clicked(window: Window, pages: Pages) -> Select[Any]:
    """Select the clicked items of pages with swapped pairs."""
    page = chosen(window, pages).where(_has_pairs()).subquery("page")
    done = acts(window)
    joined = page.join(done, done.c.request_id == page.c.request_id)
    return select(page.c.request_id, done.c.kblock_id).select_from(joined).where(done.c.clicks == 1)


def _pairs(pages: Iterable[Any], clicks: Iterable[Any]) -> Numbers:
    """Count, for each reader, which item of a pair was chosen where the other one was not."""
    clicked: dict[str, set[str]] = {}
    for request_id, kblock_id in clicks:
        clicked.setdefault(request_id, set()).add(kblock_id)
    counts: dict[str, list[int]] = {}
    for request_id, user_id, items, settings in pages:
        own = clicked.get(request_id, set())
        for upper, lower, turned in _listed(items, settings):
            if (upper in own) != (lower in own):
                unit = request_id if user_id == GUEST else user_id
                row = counts.setdefault(unit, [0] * 4)
                row[2 * turned + (lower in own)] += 1
    return np.array(list(counts.values()), np.int64).reshape(-1, 4)


def _listed(items: str, settings: str) -> list[tuple[str, str, int]]:
    """Return the pairs of a page: the upper and the lower item, and 1 if they are turned."""
    shown: Sequence[str] = _read(items, list) or []
    options: Mapping[str, Any] = _read(settings, dict) or {}
    listed = options.get("pairs")
    return [
        (shown[at], shown[at + 1], int(turned))
        for at, turned in (listed if isinstance(listed, list) else [])
        if 0 <= at < len(shown) - 1
    ]


def _read(text: str, kind: type) -> Any:
    try:
        found = from_json(text)
    except ValueError:
        return None
    return found if isinstance(found, kind) else None
