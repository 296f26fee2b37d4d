"""Events, erasures and readmissions in any order, against a model of the log in plain Python."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.domain.decay import DEFAULT_HALF_LIVES
from harken.errors import Erased, NotFound
from harken.models import Base, FeedHalfLife, KBlockClock
from harken.services.integrity.erasure import Erasure
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG
from tests.faults import SOAK
from tests.support.partitions import made_at

KEPT = {FeedHalfLife.__tablename__, KBlockClock.__tablename__}
USERS = st.sampled_from(["ada", "bob", "guest"])
KBLOCKS = st.sampled_from(["k1", "k2", "k3"])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDS = [
    *(made_at(NOW - timedelta(minutes=8 * n), n) for n in range(16)),
    *(made_at(NOW - timedelta(minutes=19 * n), n).replace("-", "") for n in range(8)),
    # By chance these begin as those do; their other digits are no version and no time.
    *(f"{made_at(NOW - timedelta(minutes=30 * n))[:8]}-4fff-4fff-8fff-{n:012x}" for n in range(8)),
    *map(str, range(9)),
]
"""Ids of every kind: with a time, dashed or not, random, and names."""
EVENTS = st.fixed_dictionaries(
    {
        "user_id": USERS,
        "kblock_id": KBLOCKS,
        "action": st.sampled_from(["view", "engage", "dismiss", "contradict"]),
        "interaction_id": st.sampled_from(IDS),
        "occurred_at": st.integers(0, 300).map(lambda ago: NOW - timedelta(minutes=ago)),
    },
    optional={
        "dwell_time_ms": st.integers(0, 100_000),
        "metadata": st.sampled_from([{"contradicts": "k9"}, {"contradicts": "k8"}]),
    },
)


class ErasureMachine(RuleBasedStateMachine):
    """Drives two records of one database; `self.logged` is what the log should hold, by id."""

    url: ClassVar[str]

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.engine = create_engine(Settings(database_url=self.url))
        sessions = async_sessionmaker(self.engine)
        self.database = Database(sessions)
        # Each knows the tombstones of its own last write only.
        self.records = [FeedFeedbackPersistence(sessions, clock=lambda: NOW) for _ in range(2)]
        self.erasure = Erasure(sessions)
        self.logged: dict[str, dict[str, Any]] = {}
        self.erased: set[tuple[Subject, str]] = set()
        self.run(self.clear())

    async def clear(self) -> None:
        async with self.database.transaction(Kind.WRITE) as connection:
            for table in Base.metadata.sorted_tables:
                if table.name not in KEPT:
                    await connection.execute(table.delete())
        await self.records[0].rebuild(DEFAULT_HALF_LIVES)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.engine.dispose())
            self.loop.close()

    def is_refused(self, event: dict[str, Any]) -> bool:
        owners = (Subject.READER, event["user_id"]), (Subject.KBLOCK, event["kblock_id"])
        return not self.erased.isdisjoint(owners)

    @rule(events=st.lists(EVENTS, min_size=1, max_size=8), which=st.integers(0, 1))
    def record(self, events: list[dict[str, Any]], which: int) -> None:
        result = self.run(self.records[which].record_batch(events))
        refused = [i for i, event in enumerate(events) if self.is_refused(event)]
        rejected = [each.index for each in result.rejected if isinstance(each.error, Erased)]
        assert rejected == refused
        self.note(events)

    def note(self, events: list[dict[str, Any]]) -> None:
        """Note a group of events in the model of the log."""
        for event in events:
            if not self.is_refused(event):
                self.logged.setdefault(event["interaction_id"], event)

    @rule(
        subject=st.sampled_from(Subject),
        data=st.data(),
    )
    def erase(self, subject: Subject, data: Any) -> None:
        names = ["ada", "bob"] if subject is Subject.READER else ["k1", "k2", "k3"]
        own_id = data.draw(st.sampled_from(names))
        field = "user_id" if subject is Subject.READER else "kblock_id"
        own = {each for each, event in self.logged.items() if event[field] == own_id}
        erase = self.erasure.erase(subject, own_id, rebuild_file=False)
        if not own and (subject, own_id) not in self.erased:
            with pytest.raises(NotFound):
                self.run(erase)
            return
        receipt = self.run(erase)
        if own:
            assert receipt.counts["events"] == len(own)
        self.erased.add((subject, own_id))
        self.logged = {name: each for name, each in self.logged.items() if name not in own}

    @rule(data=st.data())
    def readmit(self, data: Any) -> None:
        if self.erased:
            subject, own_id = data.draw(st.sampled_from(sorted(self.erased)))
            self.run(self.erasure.readmit(subject, own_id))
            self.erased.remove((subject, own_id))

    @rule()
    def rebuild(self) -> None:
        assert self.run(self.records[0].rebuild()) == len(self.logged)

    @invariant()
    def the_log_is_that_of_the_model_and_its_statistics_are_exact(self) -> None:
        if hasattr(self, "loop"):
            verification, ids = self.run(self.kept())
            assert verification.differences == 0, verification.examples
            assert ids == set(self.logged)

    async def kept(self) -> Any:
        async with self.database.reading() as connection:
            ids = set((await connection.execute(select(LOG.c.id))).scalars())
        return await self.records[0].verify(), ids


@pytest.mark.slow
@pytest.mark.timeout(3_600 if SOAK else 300)
def test_the_log_is_what_a_plain_log_would_be(database_url: str):
    machine = type("Machine", (ErasureMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if SOAK else 4,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
