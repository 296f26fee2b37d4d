"""Impressions, click-through and engagement by feed, ranking, position, source or K-Block."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, Select, Subquery, func, select

from harken.database import Kind
from harken.errors import InvalidInput, Problem
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.figures.shown_items import (
    Pages,
    SlateFigures,
    bounded,
    chosen,
    impressions,
    sums,
    whole,
)
from harken.services.record.window_analytics import Window, asked_window

LEAST_SAMPLE = 50
"""With fewer impressions or views, no ratio is given: its interval would be too wide to read."""

MOST_ROWS = 100
MOST_CHOICES = 100

Dimension = Literal["feed", "ranking", "position", "source", "kblock"]


class Counts(NamedTuple):
    """The impressions of a group, and on how many of them readers did something."""

    impressions: int = 0
    clicks: int = 0
    engagements: int = 0
    dismissals: int = 0

    def rate(self, name: str) -> float | None:
        """Return the share of impressions with `name`; None below `LEAST_SAMPLE` impressions."""
        if self.impressions < LEAST_SAMPLE:
            return None
        share: float = getattr(self, name) / self.impressions
        return share


@dataclass(frozen=True)
class Impressions:
    """The groups of a window, and the sum over all of them, whether they are listed or not.

    Each group is a key and its counts. The key is a name or an id, and a position counted from 0;
    None stands for K-Blocks without a source. `feeds` and `rankings` are those of the window's
    pages, before the choice of one.
    """

    window: Window
    groups: Sequence[tuple[str | int | None, Counts]]
    total: Counts
    feeds: Sequence[str]
    rankings: Sequence[str]


class ImpressionFigures(SlateFigures):
    """Figures of the served pages of one database."""

    async def by(
        self,
        dimension: Dimension,
        pages: Pages = Pages(),  # noqa: B008 — it cannot change
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        kblock_id: str | None = None,
        limit: int = 20,
    ) -> Impressions:
        """Return impressions by a dimension; the default window is the last 30 days.

        Positions are in their order, other groups by impressions. With `kblock_id`, those of one
        K-Block only. Raises InvalidInput, DatabaseUnavailable.
        """
        if dimension not in get_args(Dimension):
            raise InvalidInput(Problem("by", f"must be one of {', '.join(get_args(Dimension))}"))
        if not 1 <= limit <= MOST_ROWS:
            raise InvalidInput(Problem("limit", f"must be from 1 to {MOST_ROWS}"))
        asked = asked_window(since, until, self._clock())
        async with self._database.reading_anywhere(Kind.SNAPSHOT) as connection:
            window = await bounded(connection, asked, *self._most)
            found = impressions(window, pages, postgresql=self._database.is_postgresql)
            rows = (await connection.execute(_grouped(found, dimension, kblock_id, limit))).all()
            names = (await connection.execute(_names(window, pages.user_id))).all()
        groups = [(row[0], Counts(*whole(row[1:5]))) for row in rows]
        total = Counts(*whole(rows[0][5:])) if rows else Counts()
        feeds, rankings = (sorted({row[column] for row in names}) for column in (0, 1))
        return Impressions(window, groups, total, feeds, rankings)


def _grouped(
    found: Subquery, dimension: Dimension, kblock_id: str | None, limit: int
) -> Select[Any]:
    """Select the key and the counts of each group, and the sums over all groups."""
    key: ColumnElement[Any] = KBLOCKS.c.source
    if dimension != "source":
        key = found.c[{"position": "place", "kblock": "kblock_id"}.get(dimension, dimension)]
    counted = sums(found)
    totals = [func.sum(each.element).over().label(f"all_{each.name}") for each in counted]
    wanted = select(key, *counted, *totals).group_by(key)
    if dimension == "source":
        joined = found.outerjoin(KBLOCKS, KBLOCKS.c.id == found.c.kblock_id)
        wanted = wanted.select_from(joined)
    if kblock_id is not None:
        wanted = wanted.where(found.c.kblock_id == kblock_id)
    first = [key] if dimension == "position" else [counted[0].desc(), key.nulls_last()]
    return wanted.order_by(*first).limit(limit)


def _names(window: Window, user_id: str | None) -> Select[Any]:
    page = chosen(window, Pages(user_id=user_id)).subquery("page")
    return select(page.c.feed, page.c.ranking).distinct().limit(MOST_CHOICES)
