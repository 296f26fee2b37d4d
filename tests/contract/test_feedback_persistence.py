"""What the record promises, on each database."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken import FeedbackAction
from harken.domain.attention import attention_score
from harken.errors import IdConflict, InvalidInput
from tests.contract.conftest import NOW, act, log, stats

# The five that the seed document names


async def test_record_view_interaction(record, database):
    interaction_id = await record.record_interaction(
        "user_123", "kb_abc", FeedbackAction.VIEW, dwell_time_ms=5000, metadata={"from": "cosmos"}
    )
    [row] = await log(database)
    assert (row.id, row.user_id, row.kblock_id, row.action) == (
        interaction_id, "user_123", "kb_abc", "view",
    )  # fmt: skip
    assert row.dwell_time_ms == 5000
    assert row.interaction_metadata == '{"from":"cosmos"}'
    assert row.created_at == NOW
    kept = await stats(database, "kb_abc")
    assert (kept.view_count, kept.unique_viewers, kept.last_viewed_at) == (1, 1, NOW)
    assert kept.avg_dwell_time_sec == 5.0
    assert (kept.engage_count, kept.last_engaged_at) == (0, None)


async def test_record_engage_interaction(record, database):
    await record.record_interaction(
        "user_123", "kb_abc", FeedbackAction.ENGAGE, interaction_type="edit"
    )
    [row] = await log(database)
    assert (row.action, row.interaction_type) == ("engage", "edit")
    kept = await stats(database, "kb_abc")
    assert (kept.engage_count, kept.unique_engagers, kept.last_engaged_at) == (1, 1, NOW)
    assert (kept.view_count, kept.last_viewed_at, kept.avg_dwell_time_sec) == (0, None, None)


async def test_attention_score_computation(record):
    await act(record, view=42, engage=15, dismiss=2)
    assert await record.get_attention_score("anybody", "k") == pytest.approx(0.408333, abs=5e-7)
    assert await record.get_interaction_stats("anybody", "k") == {
        "views": 42, "engagements": 15, "dismissals": 2,
    }  # fmt: skip
    assert await record.get_attention_score("anybody", "never touched") == 0.0


async def test_dismiss_lowers_score(record):
    await act(record, view=3, engage=1)
    before = await record.get_attention_score("u", "k")
    await act(record, dismiss=1)
    assert 0 < await record.get_attention_score("u", "k") < before
    await act(record, dismiss=50)
    assert await record.get_attention_score("u", "k") == 0.0


async def test_analytics(record):
    await record.record_batch(
        [
            {"user_id": "u", "kblock_id": "liked", "action": "engage"},
            {"user_id": "u", "kblock_id": "liked", "action": "view", "dwell_time_ms": 1000},
            {"user_id": "u", "kblock_id": "b", "action": "view", "dwell_time_ms": 2000},
            {"user_id": "u", "kblock_id": "a", "action": "view"},
            {"user_id": "u", "kblock_id": "bad", "action": "dismiss"},
            {"user_id": "u", "kblock_id": "odd", "action": "contradict"},
        ]
    )
    found = await record.get_analytics()
    rows = found["most_engaged_kblocks"]
    assert [row["kblock_id"] for row in rows] == ["liked", "a", "b", "bad", "odd"]
    assert rows[0] == {
        "kblock_id": "liked",
        "attention_score": attention_score(1, 1, 0),
        "view_count": 1,
        "engage_count": 1,
        "dismiss_count": 0,
        "last_engaged_at": NOW,
    }
    assert found["totals"] == {
        "views": 3, "engagements": 1, "dismissals": 1, "avg_dwell_time_sec": 1.5,
    }  # fmt: skip
    assert found["recent_activity"] == {"interactions_24h": 6}
    [only] = (await record.get_analytics(limit=20, min_interactions=2))["most_engaged_kblocks"]
    assert only["kblock_id"] == "liked"


async def test_analytics_of_nothing(record):
    assert await record.get_analytics() == {
        "most_engaged_kblocks": [],
        "totals": {"views": 0, "engagements": 0, "dismissals": 0, "avg_dwell_time_sec": None},
        "recent_activity": {"interactions_24h": 0},
    }


@pytest.mark.parametrize("limit", [0, 101])
async def test_analytics_refuses_a_limit_out_of_range(record, limit):
    with pytest.raises(InvalidInput, match="limit: must be from 1 to 100"):
        await record.get_analytics(limit=limit)


# Retrying


async def test_an_event_with_an_id_counts_once(record, database):
    event = {
        "interaction_id": "e1", "user_id": "u", "kblock_id": "k", "action": "view",
        "dwell_time_ms": 10, "metadata": {"a": 1, "b": 2},
    }  # fmt: skip
    first = await record.record_batch([event])
    again = await record.record_batch(
        [event | {"metadata": {"b": 2, "a": 1}, "occurred_at": NOW - timedelta(hours=3)}]
    )
    assert (first.accepted, again.accepted, again.duplicates) == (1, 0, 1)
    assert (await stats(database, "k")).view_count == 1
    assert len(await log(database)) == 1


async def test_repeats_within_a_batch_count_once(record, database):
    event = {"interaction_id": "e1", "user_id": "u", "kblock_id": "k", "action": "view"}
    result = await record.record_batch([event, event, event])
    assert (result.accepted, result.duplicates, result.rejected) == (1, 2, [])
    assert (await stats(database, "k")).view_count == 1


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "other"},
        {"kblock_id": "other"},
        {"action": "engage"},
        {"dwell_time_ms": 11},
        {"interaction_type": "edit"},
        {"metadata": {"a": 2}},
        {"request_id": "other"},
        {"position": 1},
        {"session_id": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_id_with_other_content_is_a_conflict(record, change):
    event = {
        "interaction_id": "e1", "user_id": "u", "kblock_id": "k", "action": "view",
        "dwell_time_ms": 10, "metadata": {"a": 1}, "request_id": "r", "position": 0,
    }  # fmt: skip
    await record.record_interaction(**event)
    with pytest.raises(IdConflict, match="'e1' was already recorded with other content"):
        await record.record_interaction(**(event | change))
    within = await record.record_batch([event | {"interaction_id": "e2"}, event | change])
    assert within.accepted == 1
    assert [each.index for each in within.rejected] == [1]
    assert (await record.verify()).differences == 0


async def test_a_bad_event_fails_alone(record, database):
    good = {"user_id": "u", "kblock_id": "k", "action": "view"}
    result = await record.record_batch(
        [
            good,
            {"user_id": "u"},
            good | {"action": "like"},
            "no event",
            good | {"position": -1},
            good,
        ]
    )
    assert result.accepted == 2
    assert [each.index for each in result.rejected] == [1, 2, 3, 4]
    assert "action: Input should be 'view'" in str(result.rejected[1].error)
    assert (await stats(database, "k")).view_count == 2


# Times


async def test_late_events_are_ordinary(record, database):
    for hours in (1, 5, 3):
        await record.record_interaction(
            "u", "k", "view", occurred_at=NOW - timedelta(hours=hours), interaction_id=f"e{hours}"
        )
    assert (await stats(database, "k")).last_viewed_at == NOW - timedelta(hours=1)
    assert [row.created_at for row in await log(database)] == [
        NOW - timedelta(hours=hours) for hours in (1, 3, 5)
    ]


async def test_a_client_with_a_wrong_clock_is_corrected(record, database):
    wrong = timedelta(days=400)
    await record.record_interaction(
        "u", "k", "view", occurred_at=NOW + wrong - timedelta(minutes=2), sent_at=NOW + wrong
    )
    assert (await log(database))[0].created_at == NOW - timedelta(minutes=2)


async def test_an_event_may_be_five_minutes_ahead_and_no_more(record):
    await record.record_interaction("u", "k", "view", occurred_at=NOW + timedelta(minutes=5))
    with pytest.raises(InvalidInput, match="occurred_at: must be between"):
        await record.record_interaction("u", "k", "view", occurred_at=NOW + timedelta(minutes=6))


async def test_the_last_24_hours_are_exact_to_the_microsecond(record, clock):
    day, tick = timedelta(days=1), timedelta(microseconds=1)
    inside = [NOW, NOW - tick, NOW - timedelta(minutes=61), NOW - day + tick]
    outside = [NOW - day, NOW - day - tick, NOW - day - timedelta(seconds=20), NOW + tick]
    await record.record_batch(
        [{"user_id": "u", "kblock_id": "k", "action": "view", "occurred_at": at}
         for at in inside + outside]
    )  # fmt: skip
    found = await record.get_analytics()
    assert found["recent_activity"]["interactions_24h"] == len(inside)
    clock.now += tick
    found = await record.get_analytics()
    assert found["recent_activity"]["interactions_24h"] == len(inside)  # one came in, one went out


async def test_timeseries_has_a_point_for_every_bucket(record):
    await record.record_batch(
        [
            {"user_id": "u", "kblock_id": "k", "action": "view", "dwell_time_ms": 500},
            {"user_id": "u", "kblock_id": "k", "action": "contradict"},
            {"user_id": "u", "kblock_id": "k", "action": "view",
             "occurred_at": NOW - timedelta(hours=2)},
        ]
    )  # fmt: skip
    found = await record.get_timeseries("hour", since=NOW - timedelta(hours=3))
    assert [point["views"] for point in found["points"]] == [0, 1, 0, 1]
    last = found["points"][-1]
    assert last["start"] == NOW.replace(minute=0, second=0, microsecond=0)
    assert (last["contradictions"], last["avg_dwell_time_sec"]) == (1, 0.5)
    assert len((await record.get_timeseries("day"))["points"]) == 2
    with pytest.raises(InvalidInput, match="points are too many"):
        await record.get_timeseries("minute", since=NOW - timedelta(days=2))
    with pytest.raises(InvalidInput, match="bucket: must be one of minute, hour, day"):
        await record.get_timeseries("week")


# Statistics


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(counts=st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1, max_size=5))
async def test_the_score_kept_is_the_score_computed(record, counts):
    """Bit for bit: the tables compute in the order in which Python does."""
    for index, (views, engagements, dismissals) in enumerate(counts):
        kblock_id = f"{index}-{views}-{engagements}-{dismissals}"
        actions = {"view": views, "engage": engagements, "dismiss": dismissals}
        before = await record.get_interaction_stats("u", kblock_id)
        await record.record_batch(
            [{"user_id": "u", "kblock_id": kblock_id, "action": action}
             for action, count in actions.items() for _ in range(count)]
        )  # fmt: skip
        now = await record.get_interaction_stats("u", kblock_id)
        assert now["views"] == before["views"] + views
        assert await record.get_attention_score("u", kblock_id) == attention_score(**now)


async def test_uniques_are_exact(record, database):
    for user in ("a", "b", "a", "c", "b"):
        await record.record_interaction(user, "k", "view")
    await record.record_interaction("a", "k", "engage")
    await record.record_interaction("d", "k", "engage")
    kept = await stats(database, "k")
    assert (kept.view_count, kept.unique_viewers, kept.unique_engagers) == (5, 3, 2)


async def test_the_log_can_be_read_in_order(record):
    for hours in (1, 5, 3):
        await record.record_interaction("u", "k", "view", occurred_at=NOW - timedelta(hours=hours))
    pages = [page async for page in record.entries(since=NOW - timedelta(hours=4))]
    assert [entry.created_at for page in pages for entry in page] == [
        NOW - timedelta(hours=3), NOW - timedelta(hours=1),
    ]  # fmt: skip
