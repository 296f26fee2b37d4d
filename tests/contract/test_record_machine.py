"""Anything that clients may send, in any order, against a model of the log in plain Python."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.domain import decay
from harken.domain.attention import attention_score
from harken.domain.decay import DEFAULT_HALF_LIVES
from harken.errors import IdConflict, InvalidInput
from harken.models import Base, FeedEngagementStats, FeedHalfLife
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK

USERS = st.sampled_from(["ada", "bob", "guest", "\u00e9mile \U0001f600"])
KBLOCKS = st.sampled_from(["k1", "k2", "k3"])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

EVENTS = st.fixed_dictionaries(
    {
        "user_id": USERS,
        "kblock_id": KBLOCKS,
        "action": st.sampled_from(["view", "engage", "dismiss", "contradict"]),
        "occurred_at": (st.integers(0, 3 * 24 * 60) | st.integers(0, 30 * 365 * 24 * 60)).map(
            lambda ago: NOW - timedelta(minutes=ago)
        ),
    },
    optional={
        "dwell_time_ms": st.integers(0, 86_400_000),
        "interaction_type": st.sampled_from(["edit", "link"]),
        "metadata": st.dictionaries(
            st.sampled_from(["a", "b"]), st.integers() | st.text("xyé\\u0"), max_size=2
        ),
        "position": st.integers(0, 100),
    },
)
BAD_EVENTS = st.sampled_from(
    [
        {},
        "no event",
        {"user_id": "u", "kblock_id": "k1", "action": "like"},
        {"user_id": "", "kblock_id": "k1", "action": "view"},
        {"user_id": "u" * 65, "kblock_id": "k1", "action": "view"},
        {"user_id": "u\x00", "kblock_id": "k1", "action": "view"},
        {"user_id": "u\ud800", "kblock_id": "k1", "action": "view"},
        {"user_id": "u", "kblock_id": "k1", "action": "view", "metadata": {"a": "\x00"}},
        {"user_id": "u", "kblock_id": "k1", "action": "view", "dwell_time_ms": -1},
        {"user_id": "u", "kblock_id": "k1", "action": "view",
         "occurred_at": NOW + timedelta(hours=1)},
    ]
)  # fmt: skip


class RecordMachine(RuleBasedStateMachine):
    """Drives one persistence; `self.logged` is what the log should hold, by id."""

    url: ClassVar[str]
    recorded = Bundle("recorded")

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.engine = create_engine(Settings(database_url=self.url))
        sessions = async_sessionmaker(self.engine)
        self.database = Database(sessions)
        self.record = FeedFeedbackPersistence(sessions, clock=lambda: NOW)
        self.logged: dict[str, dict[str, Any]] = {}
        self.run(self.clear())

    async def clear(self) -> None:
        async with self.database.transaction(Kind.WRITE) as connection:
            for table in Base.metadata.sorted_tables:
                if table.name != FeedHalfLife.__tablename__:
                    await connection.execute(table.delete())
        self.half_lives = [*DEFAULT_HALF_LIVES]
        await self.record.rebuild(self.half_lives)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            assert self.run(self.record.verify()).differences == 0
            self.run(self.engine.dispose())
            self.loop.close()

    @rule(target=recorded, event=EVENTS)
    def record_one(self, event: dict[str, Any]) -> str:
        interaction_id = str(self.run(self.record.record_interaction(**event)))
        self.logged[interaction_id] = event
        return interaction_id

    @rule(interaction_id=recorded, moved=st.integers(0, 1000))
    def repeat(self, interaction_id: str, moved: int) -> None:
        event = self.logged[interaction_id] | {"occurred_at": NOW - timedelta(minutes=moved)}
        again = self.run(self.record.record_interaction(**event, interaction_id=interaction_id))
        assert again == interaction_id

    @rule(interaction_id=recorded, event=EVENTS)
    def reuse_an_id(self, interaction_id: str, event: dict[str, Any]) -> None:
        same = content(event) == content(self.logged[interaction_id])
        try:
            self.run(self.record.record_interaction(**event, interaction_id=interaction_id))
        except IdConflict:
            assert not same
        else:
            assert same

    @rule(
        target=recorded,
        events=st.lists(EVENTS, max_size=6),
        bad=st.lists(BAD_EVENTS, max_size=3),
        old=st.lists(consumes(recorded), max_size=3),
        data=st.data(),
    )
    def record_batch(self, events: Any, bad: Any, old: Any, data: Any) -> Any:
        """Send new events, some of them twice, with old and bad ones among them."""
        fresh = [
            each | {"interaction_id": f"b{len(self.logged)}-{i}"} for i, each in enumerate(events)
        ]
        known = [self.logged[each] | {"interaction_id": each} for each in old]
        batch = data.draw(st.permutations([*fresh, *fresh[::2], *known, *bad]))
        result = self.run(self.record.record_batch(batch))
        assert (result.accepted, result.duplicates) == (len(fresh), len(fresh[::2]) + len(known))
        refused = [index for index, event in enumerate(batch) if event in bad]
        assert [each.index for each in result.rejected] == refused
        assert all(isinstance(each.error, InvalidInput) for each in result.rejected)
        for event in fresh:
            self.logged[event.pop("interaction_id")] = event
        return multiple(*old, *list(self.logged)[len(self.logged) - len(fresh) :])

    @rule(hours=st.none() | st.lists(st.integers(1, 8_760), min_size=1, max_size=4, unique=True))
    def rebuild(self, hours: list[int] | None) -> None:
        if hours is not None:
            self.half_lives = [timedelta(hours=each) for each in hours]
        rebuilt = self.run(self.record.rebuild(None if hours is None else self.half_lives))
        assert rebuilt == len(self.logged)

    @invariant()
    def statistics_are_those_of_the_log(self) -> None:
        if not hasattr(self, "loop"):
            return
        kept = {row.kblock_id: row for row in self.run(self.kept())}
        assert set(kept) == {event["kblock_id"] for event in self.logged.values()}
        for kblock_id, row in kept.items():
            events = [each for each in self.logged.values() if each["kblock_id"] == kblock_id]
            assert row._asdict() | recount(events) == row._asdict()
            decayed = recount_decayed(events, self.half_lives)
            for name, logarithm in decayed.items():
                kept_one = getattr(row, name)
                assert kept_one == (logarithm and pytest.approx(logarithm, rel=0, abs=1e-9))
        since = NOW - timedelta(days=1)
        recent = sum(since < event["occurred_at"] <= NOW for event in self.logged.values())
        found = self.run(self.record.get_analytics(limit=1))
        assert found["recent_activity"]["interactions_24h"] == recent
        assert found["totals"]["views"] == sum(
            event["action"] == "view" for event in self.logged.values()
        )

    async def kept(self) -> Any:
        async with self.database.reading() as connection:
            return (await connection.execute(select(FeedEngagementStats.__table__))).all()


def content(event: dict[str, Any]) -> str:
    """What makes two events with one id the same: all but the time."""
    given = {name: value for name, value in event.items() if name != "occurred_at"}
    return json.dumps(given, sort_keys=True)


def recount(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the slow way."""
    counts = Counter(each["action"] for each in events)
    views = [each for each in events if each["action"] == "view"]
    engagements = [each for each in events if each["action"] == "engage"]
    dwells = [each["dwell_time_ms"] for each in views if "dwell_time_ms" in each]
    return {
        "view_count": counts["view"],
        "engage_count": counts["engage"],
        "dismiss_count": counts["dismiss"],
        "contradict_count": counts["contradict"],
        "unique_viewers": len({each["user_id"] for each in views}),
        "unique_engagers": len({each["user_id"] for each in engagements}),
        "last_viewed_at": max((each["occurred_at"] for each in views), default=None),
        "last_engaged_at": max((each["occurred_at"] for each in engagements), default=None),
        "avg_dwell_time_sec": sum(dwells) / (1000 * len(dwells)) if dwells else None,
        "attention_score": attention_score(counts["view"], counts["engage"], counts["dismiss"]),
    }


def recount_decayed(
    events: list[dict[str, Any]], half_lives: list[timedelta]
) -> dict[str, float | None]:
    """Add up what each event counts, as logarithms, in the order in which they happened."""
    actions = {"view": "views", "engage": "engagements", "dismiss": "dismissals"}
    found: dict[str, float | None] = {
        f"decayed_{name}_{slot}": None for name in actions.values() for slot in range(1, 5)
    }
    for event in sorted(events, key=lambda each: each["occurred_at"]):
        for slot, half_life in enumerate(half_lives, 1):
            if event["action"] in actions:
                name = f"decayed_{actions[event['action']]}_{slot}"
                counts = decay.logarithm(event["occurred_at"], half_life)
                found[name] = decay.add(found[name], counts)
    return found


@pytest.mark.slow
@pytest.mark.timeout(3_600 if SOAK else 300)
def test_the_record_is_what_a_plain_log_would_be(database_url: str):
    machine = type("Machine", (RecordMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=200 if SOAK else 6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
