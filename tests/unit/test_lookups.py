"""Lookups that share queries."""

import asyncio

import pytest

from harken.errors import DatabaseUnavailable
from harken.services.record.batched_lookups import BatchedLookups


class Reads:
    """What is read, and each query; a query waits until the test lets it go on."""

    def __init__(self) -> None:
        self.kept = {"a": 1, "b": 2}
        self.queries: list[list[str]] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: list[str]) -> dict[str, int]:
        self.queries.append(keys)
        await self.go_on.wait()
        if self.error:
            raise self.error
        return {key: self.kept[key] for key in keys if key in self.kept}


async def under_way(reads: Reads, count: int) -> None:
    async with asyncio.timeout(60):
        while len(reads.queries) < count:  # noqa: ASYNC110 — of a few turns of the loop
            await asyncio.sleep(0)


async def test_those_who_ask_meanwhile_share_the_next_query():
    reads = Reads()
    lookups = BatchedLookups(reads)
    first = asyncio.create_task(lookups.get("a"))
    await under_way(reads, 1)
    others = [asyncio.create_task(lookups.get(key)) for key in ("b", "a", "none", "b")]
    await asyncio.sleep(0)
    reads.kept["a"] = 9  # committed before they asked: they see it, the first need not
    reads.go_on.set()
    assert await asyncio.gather(first, *others) == [9, 2, 9, None, 2]
    assert reads.queries == [["a"], ["b", "a", "none"]]


async def test_an_error_is_everybodys_and_the_next_lookup_works():
    reads = Reads()
    lookups = BatchedLookups(reads)
    reads.error = DatabaseUnavailable("away")
    reads.go_on.set()
    both = await asyncio.gather(lookups.get("a"), lookups.get("b"), return_exceptions=True)
    assert [str(error) for error in both] == ["away", "away"]
    reads.error = None
    assert await lookups.get("a") == 1


async def test_one_who_goes_away_takes_nobody_along():
    reads = Reads()
    lookups = BatchedLookups(reads)
    leaving, staying = (asyncio.create_task(lookups.get("a")) for _ in range(2))
    await under_way(reads, 1)
    leaving.cancel()
    reads.go_on.set()
    assert await staying == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving
