"""Training data of a database, and the readers' choices about it, on each database."""

from datetime import timedelta
from unittest.mock import ANY

import pytest
from sqlalchemy import insert

from harken.database import Kind
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.services.features.names import NAMES
from harken.services.feed.service import FeedService
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Description, PointInTimeReplay, Slate
from harken.services.readers.affinities import AffinitySettings
from harken.services.readers.history import Touch
from harken.services.record.slates import SLATES
from harken.services.registry.training_data import TrainingRange
from tests.contract.conftest import NOW

HOUR = timedelta(hours=1)
EXTENT = TrainingRange(measured=2 * HOUR, learned=48 * HOUR, most=10)


def micros(at):
    return round(at.timestamp() * 1_000_000)


@pytest.fixture
async def feeds(session_factory, record, clock, request):
    """A feed service; indirect parameters are its settings of affinities."""
    affinities = getattr(request, "param", None)
    service = FeedService(session_factory, record=record, clock=clock, affinities=affinities)
    yield service
    await service.close()


@pytest.fixture
def act(record, clock):
    """Record what a reader did some hours before now."""

    async def _act(user_id, kblock_id, before, action="view", **more):
        at = NOW - before * HOUR
        event = {"user_id": user_id, "kblock_id": kblock_id, "action": action, "occurred_at": at}
        await record.record_batch([event | more])

    return _act


@pytest.fixture
def show(database):
    """Enter a slate that was served some hours before now."""

    async def _show(request_id, user_id, before, items=("k1", "k2"), feed="cosmos", position=0):
        row = {
            "request_id": request_id, "first_request_id": request_id, "user_id": user_id,
            "feed": feed, "ranking": "trending", "settings": "{}", "revision": 0,
            "position": position, "items": '["' + '","'.join(items) + '"]', "propensities": None,
            "created_at": NOW - before * HOUR,
        }  # fmt: skip
        async with database.transaction(Kind.WRITE) as connection:
            await connection.execute(insert(SLATES).values(row))

    return _show


async def test_an_empty_one(feeds):
    log = await feeds.registry.training_data.read(EXTENT)
    assert (list(log.events), list(log.slates), dict(log.descriptions)) == ([], [], {})


async def test_the_log_is_read_in_order_with_what_led_to_it(feeds, act):
    await act("bob", "k2", 1, "engage", interaction_type="like", request_id="r")
    await act("ada", "k1", 2, dwell_time_ms=900, session_id="s", position=3)
    assert (await feeds.registry.training_data.read(EXTENT)).events == [
        Event(Touch("ada", "k1", "view", None, 900, micros(NOW - 2 * HOUR)), "s", None),
        Event(Touch("bob", "k2", "engage", "like", None, micros(NOW - HOUR)), None, "r"),
    ]
    later = await feeds.registry.training_data.read(EXTENT._replace(since=NOW - 1.5 * HOUR))
    assert [event.touch.user_id for event in later.events] == ["bob"]


async def test_slates_are_those_that_led_to_something_before_the_end(feeds, act, show):
    await act("maker", "k1", 0)  # the log's end, two hours after the cut
    for request, user, before, done in [
        ("late", "ada", 1, 0.5),
        ("led to something late", "ada", 3, 1),
        ("third", "ada", 4, 3),
        ("a guest's", "guest", 5, 4),
        ("second", "bob", 6, 5),
        ("first", "ada", 40, 39),
        ("long ago", "ada", 51, 49),
    ]:
        await show(request, user, before, position=20)
        await act(user, "k2", done, "engage", request_id=request)
    await show("led to nothing", "ada", 7)
    await show("dismissed", "ada", 8)
    await act("ada", "k1", 7.5, "dismiss", request_id="dismissed")
    await show("is like another", "ada", 9, feed="similar")
    await act("ada", "k1", 8, request_id="is like another")
    log = await feeds.registry.training_data.read(EXTENT)
    assert [slate.request_id for slate in log.slates] == ["first", "second", "third"]
    expected = Slate("second", "bob", ("k1", "k2"), 20, micros(NOW - 6 * HOUR))
    assert log.slates[1] == expected
    latest = await feeds.registry.training_data.read(EXTENT._replace(most=2))
    assert [slate.request_id for slate in latest.slates] == ["second", "third"]
    since = await feeds.registry.training_data.read(EXTENT._replace(since=NOW - 5 * HOUR))
    assert [slate.request_id for slate in since.slates] == ["third"]


async def test_readers_who_want_nothing_learned_of_them_are_guests(feeds, act, show, clock):
    await act("maker", "k1", 0)
    for user in ("off", "reset", "on"):
        for before in (20, 10):
            await show(f"{user} {before}", user, before)
            await act(user, "k1", before - 1, request_id=f"{user} {before}")
    await feeds.readers.prefer("off", Preferences(personalized=False))
    await feeds.readers.prefer("on", Preferences(personalized=True))
    await feeds.readers.reset_profile("reset")
    await _reset_at(feeds, "reset", NOW - 15 * HOUR)
    log = await feeds.registry.training_data.read(EXTENT)
    assert [event.touch.user_id for event in log.events] == [
        "guest", "guest", "on", "guest", "reset", "on", "maker",
    ]  # fmt: skip
    assert [slate.request_id for slate in log.slates] == ["on 20", "on 10", "reset 10"]
    # They still count for popularity.
    assert {event.touch.kblock_id for event in log.events} == {"k1"}


async def _reset_at(feeds, user_id, at):
    await feeds.readers._set(user_id, {"profile_since": at})


async def test_what_readers_met_is_described(feeds, act, show):
    fields = {"title": "T", "tags": ["git", "rust"], "principles": ["honest"], "layer": 2}
    fields |= {"author": "ada", "content": "word " * 60, "created_at": NOW - 30 * HOUR}
    await feeds.kblocks.put([KBlock.parse({"id": f"k{n}"} | fields) for n in range(1, 5)])
    await act("bob", "k1", 0)
    await act("bob", "k3", 9, request_id="r")
    await act("bob", "unknown", 1)
    await show("r", "bob", 10, items=("k2", "k3"))
    described = (await feeds.registry.training_data.read(EXTENT)).descriptions
    assert described.keys() == {"k1", "k2", "k3"}
    made = micros(NOW - 30 * HOUR)
    assert described["k1"] == Description(
        "ada", ("git", "rust"), ("honest",), 2, words=50, created_at=made, terms=ANY
    )


@pytest.mark.parametrize(
    "feeds",
    [None, AffinitySettings(min_interactions=3, weights={"tags": 5.0, "freshness": 0.0})],
    indirect=True,
    ids=["default", "weighed otherwise"],
)
async def test_features_are_those_that_feeds_are_made_by(feeds, act):
    """From the same log, training and serving compute the same features."""
    topics = ("git", "bread")
    await feeds.kblocks.put(
        [
            KBlock.parse(
                {
                    "id": f"{topic}{n}", "title": topic, "tags": [topic], "author": f"of {topic}",
                    "content": "word " * 200, "layer": 1, "created_at": NOW - (60 - n) * HOUR,
                }
            )
            for n in range(8) for topic in topics
        ]
    )  # fmt: skip
    for n in range(8):
        await act("ada", f"git{n}", 40 - n, dwell_time_ms=20_000 * (n + 1))
        await act("ada", f"bread{n}", 40 - n, "dismiss")
        await act("bob", f"bread{n}", 30 - n, "engage")
    kblocks = tuple(f"{topic}{n}" for n in range(8) for topic in topics)
    serving = (await feeds.profiles.fresh("ada")).matrix("ada", kblocks, micros(NOW))
    log = await feeds.registry.training_data.read(EXTENT)
    replay = PointInTimeReplay(log.descriptions, log.affinities)
    for event in log.events:
        replay.observe(event, counted=False)
    matrix = replay.matrix("ada", kblocks, micros(NOW))
    for column, name in enumerate(NAMES):
        ours, theirs = matrix[:, column].tolist(), serving[:, column].tolist()
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6), name
    assert len(set(matrix[:, NAMES.index("tags")].tolist())) == 2
    assert matrix[0, NAMES.index("age")] == pytest.approx(12.283, abs=1e-2)
