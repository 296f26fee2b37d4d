"""A personal order is made once for a reader and a second, unless something has changed."""

from datetime import timedelta
from typing import Any

import pytest

from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import NOW

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
async def service(session_factory, clock):
    record = FeedFeedbackPersistence(session_factory, clock=clock)
    opened = FeedService(session_factory, record=record, clock=clock)
    await opened.kblocks.put([
        KBlock(id=f"k{n}", title=f"Words of {n}", tags=[f"t{n % 3}"], author=f"a{n % 2}",
               created_at=NOW - timedelta(hours=n))
        for n in range(12)
    ])  # fmt: skip
    for reader in ("ada", "bob"):
        for n in range(8):
            await opened.record.record_interaction(reader, f"k{n}", "engage" if n % 2 else "view")
    yield opened
    await opened.close()


@pytest.fixture
def made(monkeypatch):
    """Return the readers for whom candidates were looked for, in order."""
    readers, candidates = [], PersonalScorer.candidates

    def counted(self, pool):
        readers.append(self.user_id)
        return candidates(self, pool)

    monkeypatch.setattr(PersonalScorer, "candidates", counted)
    return readers


async def shown(service, user_id="ada", **more):
    page = await service.page(FeedRequest("personal", user_id=user_id, limit=6, **more))
    return [(item.id, item.score) for item in page.items]


@pytest.mark.parametrize("ranking", ["personal", "learned"])
async def test_the_same_page_within_a_second_is_the_same(service, clock, made, ranking):
    first = await shown(service, ranking=ranking)
    clock.now += timedelta(milliseconds=900)
    assert await shown(service, ranking=ranking) == first
    assert made == ["ada"]
    page = await service.page(FeedRequest("personal", user_id="ada", ranking=ranking, explain=True))
    again = {item.id: item.score for item in page.items}
    assert made == ["ada"]
    assert [again[kblock_id] for kblock_id, _ in first] == pytest.approx([s for _, s in first])
    clock.now += timedelta(milliseconds=200)
    await shown(service, ranking=ranking)
    assert made == ["ada", "ada"]
    clock.now -= timedelta(seconds=10)  # a clock that is set back
    await shown(service, ranking=ranking)
    assert made == ["ada", "ada", "ada"]


async def test_readers_feeds_and_settings_have_their_own(service, made):
    asked: list[dict[str, Any]] = [
        {"user_id": "ada"}, {"user_id": "bob"}, {"user_id": "guest"}, {"base_feed": "coherent"},
        {"max_loss": 0.5}, {"most_per_source": 1},
    ]  # fmt: skip
    for each in asked:
        await shown(service, **each)
    assert made == ["ada", "bob", "guest", "ada", "ada", "ada"]
    # What a reader did is read with their first page: others' orders follow from that, too.
    once = [await shown(service, **each) for each in asked]
    made.clear()
    assert [await shown(service, **each) for each in asked] == once
    assert made == []


async def test_whatever_changes_makes_it_anew(service, made):
    async def dismissed():
        await service.record.record_interaction("ada", "k9", "dismiss")

    async def read_by_others():
        await service.record.record_interaction("bob", "k11", "engage")

    async def written():
        await service.kblocks.put([KBlock(id="new", title="New", tags=["t1"], created_at=NOW)])

    async def muted():
        await service.readers.prefer("ada", Preferences(muted_authors=("a1",)))

    async def wanted():
        await service.readers.prefer("ada", Preferences(interests={"tags": {"t2": 2.0}}))

    async def switched_off():
        await service.readers.prefer("ada", Preferences(personalized=False))

    before = await shown(service)
    for change in (dismissed, read_by_others, written, muted, wanted, switched_off):
        made.clear()
        await change()
        after = await shown(service)
        assert len(made) == 1, change.__name__
        assert after != before, change.__name__
        before = after
