"""Two days of simulated readers with the real service, measured by the ground truth."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from harken.domain.feedback import Interaction
from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.simulation.demo import DemoSettings, open_demo
from harken.services.simulation.ground_truth import FEEDS, Preview, estimate, measure
from harken.services.simulation.readers import DAY, Habits
from harken.services.simulation.simulator import SimulatedClock, SimulationPlan, Simulator
from harken.services.simulation.world import Population, draw_world

ENDS = datetime(2026, 3, 8, 12, tzinfo=UTC)
POPULATION = Population(
    readers=16, clusters=2, interests=6, strength=3.5, within=0.2,
    habits=Habits(visits_per_day=6.0, depth=20.0),
)  # fmt: skip


class Played:
    """A world with its simulator and its preview."""

    def __init__(self, session_factory, world, plan):
        clock = SimulatedClock(plan.begins)
        self.record = FeedFeedbackPersistence(session_factory, clock=clock)
        kblocks = KBlockStore(session_factory, clock=clock)
        self.service = FeedService(
            session_factory, record=self.record, kblocks=kblocks, clock=clock
        )
        self.preview = Preview(session_factory, self.service, clock)
        self.player = Simulator(self.service, clock, world, plan)

    async def measured(self):
        return await measure(self.preview, self.player)


@pytest.fixture
async def played(session_factory):
    world = draw_world(1, ENDS, 400, POPULATION, span=4 * DAY)
    made = Played(session_factory, world, SimulationPlan(ENDS - 2 * DAY, 2, seed=1))
    yield made
    await made.preview.close()
    await made.service.close()


async def entries(record):
    return [entry async for page in record.entries() for entry in page]


# What readers like does not depend on the database; what was recorded, below, is compared on both.
@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_the_personal_feed_beats_the_chronological_one_for_its_readers(played):
    await played.player.advance_to(played.player.plan.begins)
    before = await played.measured()
    # Nothing is known of any reader, so all feeds show the newest K-Blocks.
    for name in FEEDS:
        assert before[name].tolist() == before["chronological"].tolist()
    seen = []
    for hours in (16, 8, 0):
        await played.player.run(ENDS - timedelta(hours=hours))
        seen.append(await played.measured())
    after = {name: np.mean([each[name] for each in seen], axis=0) for name in FEEDS}
    better = estimate(after["personal"] - after["chronological"])
    assert better["ndcg@10"].interval.low > 0
    assert better["relevance"].interval.low > 0
    assert (await played.record.verify()).differences == 0


async def test_what_is_recorded_is_what_was_served(played):
    plan = played.player.plan
    await played.player.run(plan.begins + DAY / 2)
    logged = await entries(played.record)
    assert len(logged) > 50
    ledger = played.service.ledger
    slates = {each: await ledger.slate(each) for each in {entry.request_id for entry in logged}}
    for entry in logged:
        slate = slates[entry.request_id]
        assert slate is not None
        assert slate["items"][entry.position] == entry.kblock_id
        assert slate["user_id"] == entry.user_id
        assert plan.begins <= slate["created_at"] < entry.created_at <= played.player.now
    # Some slates were sampled, and have propensities.
    drawn = [slate for slate in slates.values() if slate and slate["propensities"]]
    assert 0 < len(drawn) < len(slates)
    published = {kblock.id for kblock in played.player.published}
    assert len(published) == await played.service.kblocks.count() < len(played.player.world.kblocks)


async def test_what_a_reader_dismisses_just_now_is_measured_and_not_among_the_best(played):
    """A dismissal is recorded, and hides the K-Block, when the reader leaves."""
    player = played.player
    await player.advance_to(player.plan.begins)
    before = (await played.measured())["chronological"]
    for reader in player.world.readers:
        page = await played.preview.page(FeedRequest("cosmos", user_id=reader.user_id, limit=1))
        player.reader_state.dismissed[reader.user_id].add(page.items[0].id)
    after = (await played.measured())["chronological"]
    assert after[:, 0].tolist() == before[:, 0].tolist()  # the page is the same
    assert (after[:, 1] >= before[:, 1]).all()


async def test_pages_that_are_measured_are_in_no_ledger(played):
    await played.player.advance_to(played.player.plan.begins)
    page = await played.preview.page(FeedRequest("cosmos", user_id="sim-ada"))
    assert page.items
    assert await played.service.ledger.slate(page.request_id) is None


# A demo, which continues where an interrupted one ended

FEW = DemoSettings(days=1, readers=4, kblocks=60, seed=3)


def ignore(_done, _total):
    """Ignore progress."""


async def test_a_demo_that_was_interrupted_goes_on(session_factory, record):
    class Enough(Exception):
        pass

    def stop(done, total):
        if done == total // 2:
            raise Enough

    demo = await open_demo(session_factory, FEW, ENDS)
    with pytest.raises(Enough):
        await demo.run(stop)
    before = await entries(record)
    assert before
    assert not demo.state.is_over

    other = DemoSettings(days=3, readers=2, kblocks=30, seed=9)
    demo = await open_demo(session_factory, other, ENDS + DAY)
    assert (demo.state.settings, demo.state.ends) == (FEW, ENDS)
    done: list[object] = []
    await demo.run(lambda played, _: done.append(played), [noted(done)])
    assert done[-1] == "afterwards"
    assert demo.state.is_over
    assert set(demo.state.measured) == {0, 8, 16, 24}
    after = await entries(record)
    assert len(after) > len(before)
    assert set(before) <= set(after)
    assert (await record.verify()).differences == 0

    again = await open_demo(session_factory, FEW, ENDS + DAY)
    await again.run(ignore, [noted(done)])
    assert (again.state, done.count("afterwards")) == (demo.state, 1)
    assert await entries(record) == after


def noted(done):
    async def step(_demo):
        done.append("afterwards")

    return step


async def test_a_demo_that_was_interrupted_after_its_days_plays_none_again(session_factory, record):
    class Enough(Exception):
        pass

    async def stop(_demo):
        raise Enough

    demo = await open_demo(session_factory, FEW, ENDS)
    with pytest.raises(Enough):
        await demo.run(ignore, [stop])
    assert (demo.state.is_over, demo.state.is_finished) == (True, False)
    before, done = await entries(record), []
    again = await open_demo(session_factory, FEW, ENDS + DAY)
    await again.run(lambda *_: done.append("a visit"), [noted(done)])
    assert done == ["afterwards"]
    assert again.state.is_finished
    assert again.state.measured == demo.state.measured
    assert await entries(record) == before


async def test_a_demo_says_that_it_is_one(session_factory):
    demo = await open_demo(session_factory, FEW, ENDS)
    await demo.run(ignore)
    kblocks = KBlockStore(session_factory)
    about = await kblocks.get("harken-demo")
    assert about is not None
    assert "Its 4 readers are simulated" in about.kblock.content
    assert "<!--" not in about.preview
    for kblock in demo.world.kblocks:
        if kblock.kind == "post":
            assert (kblock.author or "").endswith("(simulated)")
            assert (kblock.path or "").startswith("simulated/")
    assert all(reader.user_id.startswith("sim-") for reader in demo.world.readers)


async def test_a_database_with_other_data_is_no_demo(session_factory, record):
    await record.record(Interaction(user_id="ada", kblock_id="k", action="view"))
    with pytest.raises(InvalidInput, match="has data that is not a demo's"):
        await open_demo(session_factory, FEW, ENDS)
    assert len(await entries(record)) == 1
    kblocks = KBlockStore(session_factory)
    await kblocks.put([KBlock(id="harken-demo", title="Mine", content="no state")])
    with pytest.raises(InvalidInput, match="another version"):
        await open_demo(session_factory, FEW, ENDS)
