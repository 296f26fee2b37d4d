"""A lower bound of the cost of a page: a bare ASGI app with the same index and the same slate.

It has no framework, no settings, no cursors and no reader's data: nobody is dismissed, muted or
personalised. Texts are in memory, encoded. The index, the ranking of it, and the transaction that
enters slates with their orders, with its groups, are those of Harken; msgspec encodes.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import async_sessionmaker
from uuid_utils import uuid7

from benchmarks.bare_asgi import send_json, serve
from harken.config import Settings
from harken.database import create_engine
from harken.domain.exploration import Order
from harken.domain.feeds import DEFAULT_FEEDS, find_ranking
from harken.domain.slates import Slate
from harken.domain.times import micros
from harken.services.feed.service import FeedService
from harken.services.index.index import Index, Rows
from harken.services.index.ordering import Reader, leading, scores
from harken.services.index.selection import select

FEED = DEFAULT_FEEDS["cosmos"]
FROZEN, SHOWN = 1_000, 20


class Page(msgspec.Struct):
    items: list[msgspec.Raw]
    scores: list[float]
    request_id: str


class Limit:
    def __init__(self, database_url: str) -> None:
        settings = Settings(database_url=database_url)
        self._service = FeedService(async_sessionmaker(create_engine(settings)))
        self._texts: dict[int, tuple[str, msgspec.Raw]] = {}
        self._encode = msgspec.json.Encoder().encode

    async def _shown(self, numbers: list[int]) -> list[tuple[str, msgspec.Raw]]:
        if any(number not in self._texts for number in numbers):
            for number, shown in (await self._service.ledger.kblocks.of(numbers)).items():
                self._texts[number] = shown.id, msgspec.Raw(shown.as_json)
        return [self._texts[number] for number in numbers]

    def _ranked(self, index: Index, ranking: str, reader: Reader) -> tuple[Rows, Order | None]:
        selection = FEED.sources, FEED.conditions(None)
        mask = select(index, *selection, index.revision, reader.now)
        if ranking == "chronological":
            return index.newest(mask, SHOWN), None
        weights = self._service.weights
        rows = leading(index, selection, mask, None, weights, reader, FROZEN)
        return rows, Order(index.number[rows])

    async def _page(self, query: bytes) -> bytes:
        given = dict(each.split(b"=") for each in query.split(b"&"))
        ranking, user = find_ranking(given[b"ranking"].decode()).name, given[b"user_id"].decode()
        index = await self._service.catalogue.fresh()
        reader = Reader((), micros(datetime.now(UTC)))
        rows, order = self._ranked(index, ranking, reader)
        rows = rows[:SHOWN]
        shown = await self._shown(index.number[rows].tolist())
        scored = scores(index, self._service.weights, reader, rows).tolist()
        request_id = str(uuid7())
        await self._service.ledger.enter(
            Slate(
                request_id=request_id, first_request_id=request_id, user_id=user, feed=FEED.name,
                ranking=ranking, settings={}, revision=index.revision, position=0,
                items=[kblock_id for kblock_id, _ in shown], scores=scored,
            ), order,
        )  # fmt: skip
        return self._encode(Page([text for _, text in shown], scored, request_id))

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        answer = await self._page(scope["query_string"])
        await send_json(send, answer)


if __name__ == "__main__":
    serve(Limit)
