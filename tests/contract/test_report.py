"""The report on each database: weeks by hand, models in service, and stored reports."""

import random
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from harken.database import Kind
from harken.domain.kblock import KBlock
from harken.errors import InvalidInput, NotFound
from harken.services.evaluation.holdout import run_metrics, train_and_measure
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.slates import SLATES
from harken.services.registry.leases import LEASES, LeaseStore
from harken.services.registry.reporting import make_report, read_report_inputs
from harken.services.registry.store import MODELS, PROMOTIONS
from tests.contract.conftest import NOW
from tests.support.choices import choices

QUICK = TrainingSettings(
    ranker=RankerSettings(rounds=20, fewest=50, least_in_leaf=10, base_below=0)
)
LOG = choices(count=1_500)
SUNDAY_NIGHT, MONDAY = "2026-02-22T23:59:59.999999Z", "2026-02-23T00:00:00Z"


@pytest.fixture
async def service(session_factory, clock):
    opened = FeedService(
        session_factory, record=FeedFeedbackPersistence(session_factory, clock=clock), clock=clock
    )
    yield opened
    await opened.close()


def event(user, action, at, **more):
    return {"user_id": user, "kblock_id": "k", "action": action, "occurred_at": at, **more}


async def record(service, *events):
    result = await service.record.record_batch(list(events))
    assert (result.accepted, result.rejected) == (len(events), [])


async def report(service, now=NOW, **options):
    return make_report(await read_report_inputs(service.registry, now, **options))


async def test_weeks_by_hand(service):
    await record(
        service,
        event("ada", "view", "2026-02-16T00:00:00Z", dwell_time_ms=3_000),
        event("ada", "view", SUNDAY_NIGHT, dwell_time_ms=4_500),
        event("ada", "engage", SUNDAY_NIGHT),
        event("ada", "view", MONDAY),
        event("bob", "dismiss", "2026-02-20T12:00:00Z"),
        event("bob", "view", "2026-02-20T11:00:00+02:00"),
        event("bob", "contradict", "2026-03-01T12:00:00Z"),
        event("guest", "view", "2026-02-24T10:10:00Z", session_id="a"),
        event("guest", "view", "2026-02-24T11:10:00Z", session_id="a"),
        event("guest", "view", "2026-02-24T10:10:00Z"),
        event("guest", "engage", "2026-02-24T10:50:00Z"),
        event("guest", "view", "2026-02-24T11:10:00Z"),
        # Recorded late; it counts in the week in which it happened.
        event("eve", "view", "2026-02-17T12:00:00Z"),
    )
    first, second = (await report(service))["weeks"]
    nothing = {"value": 0.0, "low": None, "high": None}
    assert first == {
        "week": "2026-W08", "begin": "2026-02-16T00:00:00Z", "end": "2026-02-23T00:00:00Z",
        "is_partial": False, "views": 4, "engagements": 1, "dismissals": 1, "readers": 3,
        "guest_visits": 0, "avg_dwell_time_sec": 3.75,
        "engagement_per_view": {"value": 0.25, "low": None, "high": None},
        "dismissals_per_view": {"value": 0.25, "low": None, "high": None},
    }  # fmt: skip
    assert second == {
        "week": "2026-W09", "begin": "2026-02-23T00:00:00Z", "end": "2026-03-02T00:00:00Z",
        "is_partial": True, "views": 5, "engagements": 1, "dismissals": 0, "readers": 2,
        # A session, and two hours of guests without a session.
        "guest_visits": 3, "avg_dwell_time_sec": None,
        "engagement_per_view": {"value": 0.2, "low": None, "high": None},
        "dismissals_per_view": nothing,
    }  # fmt: skip


async def test_the_ratio_is_that_of_the_log(service):
    chance, events = random.Random(0), []
    for n in range(600):
        at = datetime(2026, 1, 20, tzinfo=UTC) + timedelta(minutes=chance.randrange(40 * 24 * 60))
        user = chance.choice(["guest", *(f"u{i}" for i in range(20))])
        action = chance.choice(["view", "view", "view", "engage", "dismiss"])
        events.append(event(user, action, at.isoformat(), interaction_id=str(n)))
    await record(service, *events)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    readers: dict[str, set[str]] = defaultdict(set)
    async for page in service.record.entries():
        for entry in page:
            week = "{}-W{:02d}".format(*entry.created_at.isocalendar())
            counts[week, entry.action] += 1
            readers[week].add(entry.user_id)
    weeks = (await report(service))["weeks"]
    assert [week["week"] for week in weeks] == sorted(readers)
    for week in weeks:
        name, ratio = week["week"], week["engagement_per_view"]
        assert week["views"] == counts[name, "view"]
        assert ratio["value"] == pytest.approx(
            counts[name, "engage"] / counts[name, "view"], abs=1e-6
        )
        assert ratio["low"] < ratio["value"] < ratio["high"]
        assert week["readers"] == len(readers[name] - {"guest"})


async def test_rankings_are_those_of_the_slates_that_are_left(service, database):
    await service.kblocks.put([KBlock(id=f"k{n}", title="K") for n in range(3)])
    pages = [
        (await service.page(FeedRequest("cosmos", user_id="ada", ranking=name))).request_id
        for name in ("trending", "attention", "popularity")
    ]
    at = NOW.isoformat()
    await record(
        service,
        event("ada", "view", at, request_id=pages[0]),
        event("ada", "engage", at, request_id=pages[0]),
        event("ada", "view", at, request_id=pages[1]),
        event("bob", "view", at, request_id=pages[0]),
        event("bob", "view", at, request_id=pages[2]),
        event("bob", "view", at, request_id="no slate's"),
        event("bob", "dismiss", at),
    )
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(SLATES).where(SLATES.c.request_id == pages[2]))
    found = (await report(service))["rankings"]
    assert [
        (row["week"], row["ranking"], row["views"], row["engagements"], row["dismissals"],
         row["readers"])
        for row in found
    ] == [
        ("2026-W09", "attention", 1, 0, 0, 1),
        ("2026-W09", "trending", 2, 1, 0, 2),
        ("2026-W09", None, 2, 0, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "names", "partial"),
    [
        ({}, ["2026-W05", "2026-W06", "2026-W07", "2026-W08", "2026-W09"], [0, 4]),
        ({"weeks": 2}, ["2026-W08", "2026-W09"], [1]),
        ({"since": datetime(2026, 2, 15, tzinfo=UTC)}, ["2026-W07", "2026-W08", "2026-W09"], [2]),
        ({"since": datetime(2026, 3, 9, tzinfo=UTC)}, [], []),
        ({"since": datetime(2020, 3, 9, tzinfo=UTC), "now": NOW + timedelta(days=1)},
         ["2026-W05", "2026-W06", "2026-W07", "2026-W08", "2026-W09"], [0]),
    ],
)  # fmt: skip
async def test_which_weeks(service, options, names, partial):
    """The log begins on a Wednesday, and ends on the last day of a week that is not over."""
    await record(
        service,
        event("ada", "view", "2026-01-28T12:00:00Z"),
        event("ada", "view", "2026-03-01T12:00:00Z"),
    )
    found = (await report(service, **options))["weeks"]
    assert [week["week"] for week in found] == names
    assert [n for n, week in enumerate(found) if week["is_partial"]] == partial


async def test_an_empty_log(service):
    found = await report(service)
    assert (found["weeks"], found["rankings"], found["models"]) == ([], [], [])
    assert found["answer"]["verdict"] == "not_known"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weeks": 0}, "weeks: must be from 1 to 104"),
        ({"weeks": 105}, "weeks: must be from 1 to 104"),
        ({"weeks": 2, "since": NOW}, "weeks: give either --since or --weeks"),
        ({"since": datetime(2020, 1, 1, tzinfo=UTC)}, "since: must be at most 104 weeks before"),
    ],
)
async def test_what_is_refused(service, options, message):
    await record(
        service,
        event("ada", "view", "2024-01-02T12:00:00Z"),
        event("ada", "view", "2026-03-01T12:00:00Z"),
    )
    with pytest.raises(InvalidInput, match=message):
        await report(service, **options)


# Stored reports


async def test_the_latest_hundred_are_kept(service, clock):
    with pytest.raises(NotFound, match="run `harken report`"):
        await service.registry.reports.latest()
    for n in range(102):
        clock.now += timedelta(seconds=1)
        stored = await service.registry.reports.add({"n": n}, "1.0")
    assert await service.registry.reports.latest() == stored
    async with service.registry.reports._database.reading() as connection:
        rows = await connection.exec_driver_sql("SELECT report FROM feed_reports")
        assert len(rows.all()) == 100


async def test_a_lease_has_one_holder(database):
    leases, minute = LeaseStore(database), timedelta(minutes=1)
    assert await leases.take("training", "a", minute)
    assert not await leases.take("training", "b", minute)
    assert await leases.take("training", "a", minute)  # extended
    assert await leases.take("other", "b", minute)
    await leases.release("training", "b")
    assert not await leases.take("training", "b", minute)
    await leases.release("training", "a")
    assert await leases.take("training", "b", minute)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(LEASES).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert await leases.take("training", "a", minute)
    assert not await leases.take("training", "b", minute)


# Models


@pytest.fixture(scope="module")
def trained():
    return train_and_measure(LOG, QUICK)


def time_of(micros):
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)


@pytest.fixture
async def promoted(service, trained):
    """A model in service, and its training log."""
    await record(
        service,
        *(
            {"user_id": touch.user_id, "kblock_id": touch.kblock_id, "action": touch.action,
             "occurred_at": time_of(touch.at).isoformat()}
            for touch, *_ in LOG
        ),
    )  # fmt: skip
    return await add(service, trained)


async def add(service, trained, **data):
    times = {"until": trained.cut, "measured_until": trained.end}
    data = {name: time_of(at).isoformat() for name, at in times.items()} | data
    return await service.registry.models.add(
        trained.model, data, run_metrics(trained), "1.0", promote=True, instead_of=None
    )


async def promoted_since(database, at):
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(PROMOTIONS).values(promoted_at=at))


async def test_a_model_of_an_imported_log_is_measured_on_what_it_was_promoted_by(
    service, promoted, trained
):
    found = await report(service)
    [model] = found["models"]
    assert (model["model_id"], model["basis"], model["problem"]) == (promoted, "held_out", None)
    assert datetime.fromisoformat(model["from"]) == time_of(trained.cut)
    assert datetime.fromisoformat(model["until"]) == time_of(trained.end)
    assert model["impressions"] == model["measurable"] == trained.found.impressions
    candidate = trained.found.rankings["candidate"]["all"].values
    assert model["rankings"]["learned"] == pytest.approx(candidate, abs=1e-6)
    assert list(model["rankings"]) == ["learned", "chronological", "popularity", "personal"]
    [one] = [
        each
        for each in model["differences"]
        if (each["than"], each["metric"]) == ("chronological", "mrr")
    ]
    assert one["low"] < one["difference"] < one["high"]
    assert (
        f"The model {promoted}, on the held-out end of its training log" in found["answer"]["text"]
    )


async def test_a_model_is_never_measured_on_what_it_was_trained_on(
    service, promoted, trained, database
):
    """By the clocks, it was in service before the log began."""
    await promoted_since(database, datetime(2023, 1, 1, tzinfo=UTC))
    [model] = (await report(service))["models"]
    assert model["basis"] == "in_service"
    assert datetime.fromisoformat(model["from"]) == time_of(trained.cut)
    assert model["impressions"] == trained.found.impressions >= 100
    # With few impressions, the held-out result is reported too.
    await promoted_since(database, time_of(trained.end) - timedelta(days=1))
    served, held_out = (await report(service))["models"]
    assert (served["basis"], held_out["basis"]) == ("in_service", "held_out")
    assert 0 < served["impressions"] < 100 <= held_out["impressions"]


async def test_what_was_measured_begins_where_the_model_says(service, promoted, trained, database):
    since = time_of(trained.cut) + timedelta(days=2)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(PROMOTIONS))
        await connection.execute(delete(MODELS))
    await add(service, trained, measured_from=since.isoformat())
    [model] = (await report(service))["models"]
    assert (model["basis"], datetime.fromisoformat(model["from"])) == ("held_out", since)
    assert 0 < model["impressions"] < trained.found.impressions


async def test_models_that_cannot_be_read_are_named_with_the_reason(
    service, promoted, trained, database
):
    """The rest of the report is unchanged."""
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(MODELS).values(model="tree"))
    found = await report(service)
    [model] = found["models"]
    assert "was cut off or changed since it was written" in model["problem"]
    assert (model["basis"], model["impressions"], model["rankings"]) == (None, 0, {})
    assert sum(week["views"] for week in found["weeks"]) > 1_000
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(MODELS))
    assert "there is no model" in (await report(service))["models"][0]["problem"]


async def test_a_model_that_does_not_say_what_it_saw(service, trained):
    await record(service, event("ada", "view", "2026-02-16T00:00:00Z"))
    await add(service, trained, until="some day")
    [model] = (await report(service))["models"]
    assert "does not say on which period it was trained" in model["problem"]


async def test_without_lightgbm_the_rest_stands(service, promoted, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found = await report(service)
    assert "pip install 'harken[learning]'" in found["models"][0]["problem"]
    assert found["weeks"]
