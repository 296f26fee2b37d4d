"""Routes of figures of periods and of served pages, and of one K-Block or one reader."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from harken.domain.fields import KeptIdentifier, Text
from harken.domain.times import Time
from harken.protocols.api.analytics import leader
from harken.protocols.api.figures import shapes
from harken.protocols.api.kblocks import Provide
from harken.protocols.http.routing import HarkenRoute
from harken.services.evaluation.position_bias import position_bias
from harken.services.feed.service import FeedService
from harken.services.record.figures.impressions import MOST_ROWS, Dimension, Impressions
from harken.services.record.figures.shown_items import Pages

Name = Annotated[Annotated[Text, Field(max_length=64)] | None, Query()]


def routes(provide: Provide) -> APIRouter:
    """Return the router of the figures under `/feed/analytics`."""
    router = APIRouter(prefix="/feed/analytics", tags=["feedback"], route_class=HarkenRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type

    @router.get("/totals", summary="Count a period, and the one before")
    async def totals(
        service: Service, since: Time | None = None, until: Time | None = None
    ) -> shapes.TotalsShape:
        """Return the counts of a period and of the one before; without `since`, of all time."""
        return shapes.totals(await service.figures.periods.counts(since, until))

    @router.get("/impressions", summary="Get impressions and click-through")
    async def impressions(
        service: Service,
        by: Dimension = "feed",
        feed: Name = None,
        ranking: Name = None,
        kblock_id: Annotated[KeptIdentifier | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 20,
        since: Time | None = None,
        until: Time | None = None,
    ) -> shapes.ImpressionsShape:
        """Return impressions, click-through and engagement in a window, from served pages."""
        found = await service.figures.impressions.by(
            by, Pages(feed, ranking), since, until, kblock_id=kblock_id, limit=limit
        )
        ids = [str(key) for key, _ in found.groups] if by == "kblock" else []
        return shapes.impressions(by, found, await _titles(service, ids))

    @router.get("/position", summary="Find how much of click-through is place")
    async def position(
        service: Service,
        feed: Name = None,
        ranking: Name = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> shapes.PositionShape:
        """Return how much of the fall of click-through with the place is place itself."""
        pages = Pages(feed, ranking)
        found = await service.figures.places.counts(pages, since, until)
        bias = await asyncio.to_thread(position_bias, found.pairs, found.items)
        return shapes.PositionShape(**found.window._asdict(), **bias.as_json())

    @router.get("/kblocks/{kblock_id:id}", summary="Get the figures of one K-Block")
    async def kblock(
        service: Service,
        kblock_id: KeptIdentifier,
        since: Time | None = None,
        until: Time | None = None,
    ) -> shapes.KBlockFiguresShape:
        """Return the statistics of a K-Block, and its figures in a window."""
        found = await service.figures.single.kblock(kblock_id, since, until)
        title = (await _titles(service, [kblock_id])).get(kblock_id)
        statistics = found.of_all_time
        feeds, rankings, positions = [
            await service.figures.impressions.by(
                by, Pages(), found.window.since, found.window.until, kblock_id=kblock_id
            )
            for by in _OF_KBLOCK
        ]
        return shapes.KBlockFiguresShape(
            **_shorter(found.window.is_shortened, feeds),
            kblock=None if statistics is None else leader(statistics, title, found.trend),
            title=title,
            part_seconds=found.part.total_seconds(),
            readers=found.readers,
            counts=shapes.counts(found.counts),
            impressions=shapes.impression_counts(feeds.total),
            by_feed=shapes.groups(feeds, {}),
            by_ranking=shapes.groups(rankings, {}),
            by_position=shapes.groups(positions, {}),
        )

    @router.get("/readers/{user_id:id}", summary="Get the figures of one reader")
    async def reader(
        service: Service,
        user_id: KeptIdentifier,
        since: Time | None = None,
        until: Time | None = None,
    ) -> shapes.ReaderFiguresShape:
        """Return what one reader was shown and did in a window; needs the scope `admin`."""
        found = await service.figures.single.reader(user_id, since, until)
        feeds, rankings = [
            await service.figures.impressions.by(
                by, Pages(user_id=user_id), found.window.since, found.window.until
            )
            for by in _OF_READER
        ]
        titles = await _titles(service, [each.kblock_id for each in found.latest])
        return shapes.ReaderFiguresShape(
            **_shorter(found.window.is_shortened, feeds),
            user_id=user_id,
            kblocks=found.kblocks,
            counts=shapes.counts(found.counts),
            impressions=shapes.impression_counts(feeds.total),
            by_feed=shapes.groups(feeds, {}),
            by_ranking=shapes.groups(rankings, {}),
            latest=shapes.acts(found, titles),
        )

    return router


_OF_KBLOCK: tuple[Dimension, ...] = ("feed", "ranking", "position")
_OF_READER: tuple[Dimension, ...] = ("feed", "ranking")


def _shorter(is_shortened: bool, found: Impressions) -> dict[str, datetime | bool]:  # noqa: FBT001
    """Return the window of impressions, which is within that of events."""
    window = found.window._asdict()
    return window | {"is_shortened": is_shortened or found.window.is_shortened}


async def _titles(service: FeedService, ids: Iterable[str]) -> dict[str, str]:
    names = await service.kblocks.names(list(dict.fromkeys(ids)))
    return {kblock_id: name.title for kblock_id, name in names.items()}
