"""Windows of the log on each database: counted by hand, and recounted in Python."""

import random
from datetime import UTC, datetime, timedelta
from statistics import median_low

import pytest

from harken.errors import InvalidInput
from harken.services.record.window_analytics import (
    DWELL_EDGES_MS,
    Trend,
    WindowAnalytics,
)
from tests.contract.conftest import NOW

DAY = timedelta(days=1)
SINCE = datetime(2026, 2, 1, tzinfo=UTC)
UNTIL = datetime(2026, 2, 11, tzinfo=UTC)


@pytest.fixture
def windows(database, clock):
    return WindowAnalytics(database, clock)


def event(kblock_id, action, at, **more):
    return {
        "user_id": "ada", "kblock_id": kblock_id, "action": action,
        "occurred_at": at.isoformat(), **more,
    }  # fmt: skip


def view(dwell, at=SINCE + DAY):
    return event("k", "view", at, dwell_time_ms=dwell)


async def keep(record, *events):
    result = await record.record_batch(list(events))
    assert (result.accepted, result.rejected) == (len(events), [])


def counts(found):
    return {each.from_ms: each.views for each in found.buckets if each.views}


# How long views took


async def test_an_empty_window(windows):
    found = await windows.dwell()
    assert (found.views, found.timed, found.mean_ms, found.median_ms) == (0, 0, None, None)
    assert counts(found) == {}
    assert found.window == (NOW - 30 * DAY, NOW, False)


async def test_dwell_times_by_hand(record, windows):
    await keep(
        record,
        *map(view, (0, 249, 250, 1_000, 1_999, 2_000, 7_999, 8_000, 3_599_999, 3_600_000)),
        view(86_400_000),
        view(None),
        # Neither views that were not timed, nor what other actions carry.
        event("k", "engage", SINCE + DAY, dwell_time_ms=5_000),
        event("k", "dismiss", SINCE + DAY, dwell_time_ms=5_000),
    )
    found = await windows.dwell(SINCE, UNTIL)
    assert [each.from_ms for each in found.buckets] == list(DWELL_EDGES_MS)
    assert [each.to_ms for each in found.buckets] == [*DWELL_EDGES_MS[1:], None]
    assert counts(found) == {
        0: 2, 250: 1, 1_000: 2, 2_000: 1, 4_000: 1, 8_000: 1, 1_800_000: 1, 3_600_000: 2,
    }  # fmt: skip
    assert (found.views, found.timed) == (12, 11)
    assert found.median_ms == 2_000
    total = 0 + 249 + 250 + 1_000 + 1_999 + 2_000 + 7_999 + 8_000 + 3_599_999 + 3_600_000
    assert found.mean_ms == (total + 86_400_000) / 11


async def test_a_window_takes_in_its_begin_and_leaves_out_its_end(record, windows):
    micro = timedelta(microseconds=1)
    for at in (SINCE - micro, SINCE, UNTIL - micro, UNTIL):
        await keep(record, view(1_000, at))
    assert (await windows.dwell(SINCE, UNTIL)).views == 2


@pytest.mark.parametrize("count", [1, 2, 5, 400])
async def test_dwell_times_are_those_of_the_log(record, windows, count):
    chance = random.Random(count)
    times = [int(10 ** chance.uniform(0, 7)) for _ in range(count)]
    await keep(record, *(view(each, SINCE + DAY * chance.random()) for each in times))
    found = await windows.dwell(SINCE, UNTIL)
    assert found.median_ms == median_low(times)
    assert found.mean_ms == sum(times) / count
    for bucket in found.buckets:
        end = bucket.to_ms or 10**9
        assert bucket.views == sum(bucket.from_ms <= each < end for each in times)


async def test_a_window_with_too_much_in_it_begins_later(record, database, clock):
    short = WindowAnalytics(database, clock, most_events=3)
    minutes = [SINCE + timedelta(minutes=n) for n in range(5)]
    # Events of one time are counted together or not at all.
    await keep(record, *(view(1_000, at) for at in [*minutes[:3], minutes[2], minutes[3]]))
    found = await short.dwell(SINCE, UNTIL)
    assert found.window == (minutes[1] + timedelta(microseconds=1), UNTIL, True)
    assert found.views == 3
    await keep(record, view(1_000, minutes[4]))
    found = await short.dwell(SINCE, UNTIL)
    assert found.window.since == minutes[2] + timedelta(microseconds=1)
    assert found.views == 2
    assert (await short.dwell(minutes[4], UNTIL)).window == (minutes[4], UNTIL, False)
    leaders = await short.leaders(points=2, since=SINCE, until=UNTIL)
    assert leaders.window == found.window
    assert leaders.trends["k"].views == [2, 0]
    assert leaders.kblocks[0].view_count == 6


# Which K-Blocks lead


@pytest.fixture
async def some(record):
    """Three K-Blocks, each of which leads by something."""
    at = SINCE + DAY
    await keep(
        record,
        *(event("seen", "view", at) for _ in range(5)),
        *(event("liked", "engage", at) for _ in range(2)),
        *(event("hated", "dismiss", at) for _ in range(3)),
        event("hated", "view", SINCE - DAY, dwell_time_ms=1_500),
        event("hated", "engage", UNTIL + DAY),
        event("said", "contradict", at),
    )


@pytest.mark.parametrize(
    ("by", "ids"),
    [
        ("attention", ["liked", "seen"]),
        ("engagements", ["liked", "hated"]),
        ("views", ["seen", "hated"]),
        ("dismissals", ["hated"]),
    ],
)
async def test_leaders_by_each_measure(windows, some, by, ids):
    found = await windows.leaders(by, since=SINCE, until=UNTIL)
    assert [row.kblock_id for row in found.kblocks] == ids
    first = await windows.leaders(by, limit=1, since=SINCE, until=UNTIL)
    assert [row.kblock_id for row in first.kblocks] == ids[:1]


async def test_leaders_have_counts_of_all_time_and_trends_of_the_window(windows, some):
    found = await windows.leaders("dismissals", points=10, since=SINCE, until=UNTIL)
    [row] = found.kblocks
    assert (row.view_count, row.engage_count, row.dismiss_count) == (1, 1, 3)
    assert (row.unique_viewers, row.avg_dwell_time_sec) == (1, 1.5)
    assert row.last_engaged_at == UNTIL + DAY
    nothing = [0] * 10
    assert found.trends == {"hated": Trend(nothing, nothing, [0, 3, *nothing[2:]])}
    assert found.part == DAY


async def test_ties_come_by_id(record, windows):
    await keep(record, *(event(each, "engage", SINCE) for each in ("b", "a", "B")))
    found = await windows.leaders("engagements")
    assert [row.kblock_id for row in found.kblocks] == ["B", "a", "b"]


@pytest.mark.parametrize("points", [1, 7, 30, 100])
async def test_trends_are_those_of_the_log(record, windows, points):
    chance = random.Random(points)
    ats = [SINCE + (UNTIL - SINCE) * chance.random() for _ in range(300)]
    ids = [f"k{chance.randrange(4)}" for _ in ats]
    await keep(record, *(event(*each) for each in zip(ids, ["view"] * 300, ats, strict=True)))
    found = await windows.leaders("views", points=points, since=SINCE, until=UNTIL)
    assert (points - 1) * found.part < UNTIL - SINCE <= points * found.part
    for row in found.kblocks:
        expected = [0] * points
        for kblock_id, at in zip(ids, ats, strict=True):
            if kblock_id == row.kblock_id:
                expected[(at - SINCE) // found.part] += 1
        assert found.trends[row.kblock_id].views == expected
        assert sum(expected) == row.view_count


async def test_a_window_shorter_than_its_parts(record, windows):
    await keep(record, event("k", "view", SINCE))
    until = SINCE + timedelta(microseconds=3)
    found = await windows.leaders("views", points=5, since=SINCE, until=until)
    assert found.trends["k"].views == [1, 0, 0, 0, 0]


async def test_nothing_leads_in_an_empty_log(windows):
    assert (await windows.leaders()).kblocks == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "luck"}, "by: must be one of attention, engagements, views, dismissals"),
        ({"limit": 0}, "limit: must be from 1 to 100"),
        ({"limit": 101}, "limit: must be from 1 to 100"),
        ({"points": 0}, "points: must be from 1 to 100"),
        ({"points": 101}, "points: must be from 1 to 100"),
        ({"since": UNTIL, "until": SINCE}, "since: must be before until"),
        ({"since": SINCE, "until": SINCE}, "since: must be before until"),
        ({"since": datetime(2026, 2, 1)}, "since: needs its offset from UTC"),  # noqa: DTZ001
        ({"until": datetime(1, 1, 1, tzinfo=UTC)}, "until: must be in the years 1000 to 2999"),
    ],
)
async def test_what_is_refused(windows, options, message):
    with pytest.raises(InvalidInput, match=message):
        await windows.leaders(**options)
