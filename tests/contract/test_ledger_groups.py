"""Slates that are entered at the same time share a transaction, and each has its own outcome."""

import asyncio
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from harken.domain.exploration import Order
from harken.domain.slates import Exposure, Slate, Trial
from harken.errors import DatabaseUnavailable, Erased
from harken.models import FeedExposure
from harken.models.types import table
from harken.services.integrity.erasure import Erasure
from harken.services.record.admission.subjects import Subject
from harken.services.record.ledger.entries import write_entries
from harken.services.record.slates import SLATES, SlateLedger

EXPOSURES = table(FeedExposure)

WRITE = "harken.services.record.ledger.groups.write_entries"


def slate(n: int, user_id: str = "ada", **fields: Any) -> Slate:
    given: dict[str, Any] = {
        "request_id": f"r{n}", "first_request_id": f"r{n}", "user_id": user_id, "feed": "cosmos",
        "ranking": "weighted", "settings": {"weights": {"recency": 1.0}}, "revision": 1,
        "position": n, "items": [f"k{n}", "é«\u2028"], "scores": [0.5, -1e-9],
    }  # fmt: skip
    return Slate(**given | fields)


@pytest.fixture
def ledger(database, clock) -> SlateLedger:
    return SlateLedger(database, clock)


@pytest.fixture
def written(monkeypatch):
    """Return the numbers of entries of each transaction, as they are written."""
    counts: list[int] = []

    async def counted(database, entries, token):
        counts.append(len(entries))
        return await write_entries(database, entries, token)

    monkeypatch.setattr(WRITE, counted)
    return counts


async def kept(database) -> list[str]:
    async with database.reading() as connection:
        found = await connection.execute(select(SLATES.c.request_id).order_by(SLATES.c.request_id))
        return list(found.scalars())


async def test_slates_of_one_moment_are_committed_together_and_kept_as_given(
    ledger, database, clock, written
):
    order = Order(np.array([7, 3, 2**31 + 5]))
    odds, scores = np.array([0.5, 1.0]), np.array([0.25, -1.0])
    drawn = Order(np.array([4, 1]), propensities=odds, scores=scores)
    await asyncio.gather(
        ledger.enter(slate(0)),
        ledger.enter(slate(1, session_id="s"), order),
        ledger.enter(slate(2, propensities=[0.5, 1.0], log_sum_exp=0.25), drawn, sample=drawn),
        ledger.enter(slate(3, "guest", scores=None)),
    )
    assert written == [4], "the first one waits for nobody, and the others came before it was sent"
    first, second, third, fourth = [await ledger.slate(f"r{n}") for n in range(4)]
    assert (first["items"], first["scores"], first["position"]) == (
        ["k0", "é«\u2028"], [0.5, -1e-9], 0
    )  # fmt: skip
    assert {each["created_at"] for each in (first, second, third, fourth)} == {clock.now}
    assert (second["session_id"], first["session_id"]) == ("s", None)
    assert (third["propensities"], third["log_sum_exp"]) == ([0.5, 1.0], 0.25)
    assert (fourth["user_id"], fourth["scores"]) == ("guest", None)
    assert (await ledger.order("r1")).numbers.tolist() == [7, 3, 2**31 + 5]
    again = await ledger.order("r2", is_sampled=True)
    assert again.numbers.tolist() == [4, 1]
    assert again.propensities.tolist() == [0.5, 1.0]
    assert again.scores.tolist() == [0.25, -1.0]
    assert await ledger.order("r0") is None


async def test_an_erased_reader_is_refused_alone(ledger, database, session_factory):
    await ledger.enter(slate(0, "ada"))
    await Erasure(session_factory).erase(Subject.READER, "ada", rebuild_file=False)
    asked = [ledger.enter(slate(n, "ada" if n % 2 else "bob")) for n in range(1, 7)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, Erased) for each in found] == [n % 2 == 1 for n in range(1, 7)]
    assert await kept(database) == ["r2", "r4", "r6"]
    with pytest.raises(Erased):
        await ledger.enter(slate(8, "ada"))


async def test_what_the_database_refuses_takes_no_others_along(ledger, database):
    await ledger.enter(slate(0))
    asked = [ledger.enter(slate(n)) for n in (1, 0, 2)]  # one is there already
    first, twice, last = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, last) == (None, None)
    assert isinstance(twice, Exception)
    assert await kept(database) == ["r0", "r1", "r2"]


async def test_exposures_of_one_unit_are_one_and_a_tester_is_marked(ledger, database):
    trial = Trial("e", 1, "a")
    asked = [ledger.enter(slate(n), exposure=Exposure(trial, "ada", 0.5)) for n in range(4)]
    await asyncio.gather(*asked, ledger.expose(Exposure(trial, "bob", 0.5)))
    forced = Exposure(trial._replace(is_forced=True), "bob", 0.5)
    await asyncio.gather(*(ledger.enter(slate(n, "bob"), exposure=forced) for n in range(4, 7)))
    async with database.reading() as connection:
        columns = EXPOSURES.c.user_id, EXPOSURES.c.is_forced
        found = await connection.execute(select(*columns).order_by(EXPOSURES.c.user_id))
        assert [tuple(row) for row in found] == [("ada", False), ("bob", True)]
        count = select(func.count()).select_from(SLATES)
        assert (await connection.execute(count)).scalar_one() == 7


async def test_one_who_goes_away_leaves_a_whole_slate(ledger, database):
    leaving, staying = (asyncio.create_task(ledger.enter(slate(n))) for n in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    await ledger.idle()
    assert "r1" in await kept(database)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await ledger.enter(slate(2))


async def test_without_a_database_all_who_wait_are_told_at_once(ledger, monkeypatch):
    sent = asyncio.Event()
    calls = []

    async def away(*_):
        calls.append(1)
        await sent.wait()
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as changed:
        changed.setattr(WRITE, away)
        first = asyncio.create_task(ledger.enter(slate(0)))
        while not calls:  # noqa: ASYNC110 — of a few turns of the loop
            await asyncio.sleep(0)
        others = [asyncio.create_task(ledger.enter(slate(n))) for n in (1, 2)]
        await asyncio.sleep(0)
        sent.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(each) for each in found] == [DatabaseUnavailable] * 3
    assert len(calls) == 1
    await ledger.enter(slate(3))
