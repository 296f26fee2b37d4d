"""Figures of periods and of served pages, counted by hand, on each database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from harken.database import Kind
from harken.domain.kblock import KBlock
from harken.domain.slates import Slate
from harken.errors import InvalidInput
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.kblocks.store import KBlockStore
from harken.services.record.admission.quarantines import Target
from harken.services.record.figures.drill_down import DrillDown
from harken.services.record.figures.impressions import LEAST_SAMPLE, Counts, ImpressionFigures
from harken.services.record.figures.periods import PeriodFigures
from harken.services.record.figures.places import PlaceFigures
from harken.services.record.figures.shown_items import Pages
from harken.services.record.slates import SlateLedger
from tests.contract.conftest import NOW

DAY = timedelta(days=1)
SINCE = datetime(2026, 2, 1, tzinfo=UTC)
UNTIL = datetime(2026, 2, 11, tzinfo=UTC)
AT = SINCE + DAY


@pytest.fixture
def figures(database, clock):
    return ImpressionFigures(database, clock)


@pytest.fixture
def served(database, clock):
    """Return a function that enters a page."""
    ledger = SlateLedger(database, clock)

    async def enter(request_id, items, at=AT, **more):
        fields = {
            "feed": "cosmos", "ranking": "chronological", "user_id": "ada", "position": 0,
            "settings": {}, "revision": 1, **more,
        }  # fmt: skip
        clock.now = at
        await ledger.enter(
            Slate(request_id=request_id, first_request_id=request_id, items=items, **fields)
        )
        clock.now = NOW

    return enter


async def do(record, action, kblock_id, request_id, at=AT, **more):
    event = {
        "user_id": "ada", "kblock_id": kblock_id, "action": action, "request_id": request_id,
        "occurred_at": at.isoformat(), **more,
    }  # fmt: skip
    result = await record.record_batch([event])
    assert (result.accepted, result.rejected) == (1, [])


@pytest.fixture
async def day(record, served):
    """Three pages with eight impressions; two of them clicked, one engaged, one dismissed."""
    await served("p1", ["a", "b", "c"])
    await served("p2", ["b", "a", "d"], feed="personal", ranking="personal", position=3)
    await served("p3", ["d", 'ö\u2028"\\'], feed="personal", ranking="learned", user_id="bob")
    await do(record, "view", "a", "p1")
    await do(record, "view", "a", "p1")  # the same impression again
    await do(record, "engage", "d", "p3", user_id="bob")
    await do(record, "dismiss", "c", "p1")
    # Not on that page, of no page, of an unknown page, and without a page.
    await do(record, "view", "d", "p1")
    await do(record, "view", "a", "p9")
    await do(record, "view", "a", None)
    await do(record, "contradict", "b", "p1")


ALL = Counts(8, 2, 1, 1)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("feed", [("personal", (5, 1, 1, 0)), ("cosmos", (3, 1, 0, 1))]),
        (
            "ranking",
            [
                ("chronological", (3, 1, 0, 1)), ("personal", (3, 0, 0, 0)),
                ("learned", (2, 1, 1, 0)),
            ],
        ),
        (
            "position",
            [
                (0, (2, 2, 1, 0)), (1, (2, 0, 0, 0)), (2, (1, 0, 0, 1)), (3, (1, 0, 0, 0)),
                (4, (1, 0, 0, 0)), (5, (1, 0, 0, 0)),
            ],
        ),
        (
            "kblock",
            [
                ("a", (2, 1, 0, 0)), ("b", (2, 0, 0, 0)), ("d", (2, 1, 1, 0)),
                ("c", (1, 0, 0, 1)), ("ö\u2028\"\\", (1, 0, 0, 0)),
            ],
        ),
    ],
)  # fmt: skip
async def test_impressions_by_hand(figures, day, by, groups):
    found = await figures.by(by, since=SINCE, until=UNTIL)
    assert list(found.groups) == groups
    assert found.total == ALL
    assert found.window == (SINCE, UNTIL, False)
    assert found.feeds == ["cosmos", "personal"]
    assert found.rankings == ["chronological", "learned", "personal"]


async def test_impressions_by_source(figures, day, session_factory, clock):
    kblocks = KBlockStore(session_factory, clock=clock)
    await kblocks.put([KBlock.parse({"id": each, "title": each}) for each in "ab"], source="rss:x")
    found = await figures.by("source", since=SINCE, until=UNTIL)
    assert list(found.groups) == [("rss:x", (4, 1, 0, 0)), (None, (4, 1, 1, 1))]


async def test_a_choice_of_pages(figures, day):
    found = await figures.by("ranking", Pages(feed="personal"), SINCE, UNTIL)
    assert list(found.groups) == [("personal", (3, 0, 0, 0)), ("learned", (2, 1, 1, 0))]
    assert found.feeds == ["cosmos", "personal"]
    found = await figures.by("feed", Pages(ranking="learned"), SINCE, UNTIL)
    assert list(found.groups) == [("personal", (2, 1, 1, 0))]
    found = await figures.by("feed", Pages(user_id="bob"), SINCE, UNTIL)
    assert (list(found.groups), found.rankings) == ([("personal", (2, 1, 1, 0))], ["learned"])
    found = await figures.by("position", since=SINCE, until=UNTIL, kblock_id="a")
    assert list(found.groups) == [(0, (1, 1, 0, 0)), (4, (1, 0, 0, 0))]
    assert found.total == (2, 1, 0, 0)
    found = await figures.by("kblock", since=SINCE, until=UNTIL, limit=1)
    assert (list(found.groups), found.total) == ([("a", (2, 1, 0, 0))], ALL)


async def test_a_window_without_pages(figures, day):
    found = await figures.by("feed", since=UNTIL, until=UNTIL + DAY)
    assert (found.groups, found.total, found.feeds) == ([], Counts(), [])


async def test_readers_in_quarantine_count_nothing(figures, day, session_factory):
    decision = Decision(by="eve", reason="a robot", confirm=True)
    await Quarantine(session_factory).add(Target.READER, ["bob"], decision)
    found = await figures.by("ranking", since=SINCE, until=UNTIL)
    assert [key for key, _ in found.groups] == ["chronological", "personal"]
    assert found.total == (6, 1, 0, 1)


async def test_a_page_that_cannot_be_read_has_no_impressions(figures, day, database):
    for broken in ("no JSON", '{"a": 1}', '["\\u0000"]', "[1, 2", '["a"] ["b"]', "null"):
        async with database.transaction(Kind.WRITE) as connection:
            await connection.execute(
                text("UPDATE feed_slates SET items = :items WHERE request_id = 'p1'"),
                {"items": broken},
            )
        found = await figures.by("feed", since=SINCE, until=UNTIL)
        assert dict(found.groups)["personal"] == (5, 1, 1, 0)


async def test_too_many_pages_or_events_shorten_the_window(database, clock, record, served):
    for n in range(4):
        await served(f"p{n}", ["a", "b"], AT + n * DAY)
        await do(record, "view", "a", f"p{n}", AT + n * DAY + timedelta(hours=1))
    for options in ({"most_slates": 2}, {"most_events": 2}):
        found = await ImpressionFigures(database, clock, **options).by(
            "feed", since=SINCE, until=UNTIL
        )
        assert found.window.is_shortened
        assert found.total == (4, 2, 0, 0)


async def test_what_cannot_be_asked(figures):
    for wrong in ({"dimension": "reader"}, {"limit": 0}, {"limit": 101}, {"since": NOW + DAY}):
        with pytest.raises(InvalidInput):
            await figures.by(**{"dimension": "feed", **wrong})


def test_no_ratio_below_the_least_sample():
    assert Counts(LEAST_SAMPLE - 1, 5).rate("clicks") is None
    assert Counts(LEAST_SAMPLE, 5).rate("clicks") == 5 / LEAST_SAMPLE


# Periods


@pytest.fixture
def periods(database, clock):
    return PeriodFigures(database, clock)


async def test_a_period_and_the_one_before_to_the_microsecond(periods, record):
    since, until = SINCE + timedelta(seconds=30, microseconds=7), SINCE + timedelta(minutes=5)
    micro, length = timedelta(microseconds=1), until - since
    inside = (since, since + timedelta(seconds=40), until - timedelta(seconds=61), until - micro)
    for at in (*inside, since - micro, until, since - length):
        await do(record, "view", "k", None, at, dwell_time_ms=2_000)
    await do(record, "engage", "k", None, since)
    await do(record, "view", "k", None, since - length - micro)
    found = await periods.counts(since, until)
    assert found.counts == (4, 1, 0, 0, 4, 8_000)
    assert found.counts.mean_dwell_sec == 2.0
    assert found.before_since == since - length
    assert found.before == (2, 0, 0, 0, 2, 4_000)


async def test_a_period_within_one_minute(periods, record):
    at = SINCE + timedelta(seconds=10)
    for second in range(6):
        await do(record, "dismiss", "k", None, at + timedelta(seconds=second))
    found = await periods.counts(at + timedelta(seconds=1), at + timedelta(seconds=3))
    assert (found.counts.dismissals, found.counts.mean_dwell_sec) == (2, None)
    # The log begins after the period before does.
    assert found.before is None


async def test_all_time_has_nothing_before(periods, record):
    await do(record, "view", "k", None)
    found = await periods.counts()
    assert (found.since, found.until, found.before) == (None, None, None)
    assert found.counts.views == 1
    with pytest.raises(InvalidInput, match="until"):
        await periods.counts(None, UNTIL)
    with pytest.raises(InvalidInput, match="since"):
        await periods.counts(UNTIL, SINCE)


# Places


async def test_what_tells_of_places_by_hand(database, clock, record, served):
    places = PlaceFigures(database, clock)
    pairs = {"pairs": [[0, 0], [2, 1]]}
    await served("p1", ["a", "b", "c", "d"], settings=pairs)
    await served("p2", ["b", "a", "d", "c"], settings=pairs, user_id="bob")
    await served("p3", ["c", "a"], user_id="bob", position=20)
    for kblock_id, request_id, user_id in (
        ("a", "p1", "ada"),  # the upper one of a pair in its order
        ("d", "p1", "ada"),  # the lower one of a turned pair
        ("b", "p2", "bob"), ("a", "p2", "bob"),  # both of a pair: no choice
        ("d", "p2", "bob"),
    ):  # fmt: skip
        await do(record, "view", kblock_id, request_id, user_id=user_id)
    found = await places.counts(since=SINCE, until=UNTIL)
    assert sorted(found.pairs.tolist()) == [[0, 0, 1, 0], [1, 0, 0, 1]]
    # a and b stood at the first place and lower; c and d never stood first.
    assert sorted(found.items.tolist()) == [[1, 1, 1, 0], [1, 1, 1, 1]]


async def test_pairs_that_cannot_be_read_tell_nothing(database, clock, record, served):
    await served("p1", ["a", "b"], settings={"pairs": 3})
    await served("p2", ["a", "b"], settings={"pairs": [[7, 0]]})
    await do(record, "view", "a", "p1")
    found = await PlaceFigures(database, clock).counts(since=SINCE, until=UNTIL)
    assert found.pairs.shape == (0, 4)


# One K-Block, one reader


async def test_one_kblock_and_one_reader_by_hand(database, clock, record, day):
    single = DrillDown(database, clock)
    found = await single.kblock("a", SINCE, UNTIL)
    assert (found.counts.views, found.counts.engagements, found.readers) == (4, 0, 1)
    assert found.of_all_time is not None
    assert found.of_all_time.view_count == 4
    assert sum(found.trend.views) == 4
    assert found.part == (UNTIL - SINCE) / 30
    nothing = await single.kblock("none", SINCE, UNTIL)
    assert (nothing.of_all_time, nothing.readers, sum(nothing.trend.views)) == (None, 0, 0)
    ada = await single.reader("ada", SINCE, UNTIL)
    assert (ada.counts.views, ada.counts.dismissals, ada.kblocks) == (5, 1, 4)
    assert [each.action for each in ada.latest].count("contradict") == 1
    assert len(ada.latest) == 7
    short = DrillDown(database, clock, most_events=3)
    await do(record, "view", "z", None, AT + DAY)
    assert (await short.reader("ada", SINCE, UNTIL)).window.is_shortened
