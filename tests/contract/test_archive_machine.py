"""Events, archives, quarantines, releases, erasures and rebuilds in any order.

Each statistic is compared with the one that plain Python computes of all events that were recorded
and neither erased nor set aside, as if none had been dropped from the log.
"""

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from harken.domain.decay import DEFAULT_HALF_LIVES
from harken.errors import Erased, InvalidInput, NotFound
from harken.services.integrity.archive import file_register, whole_partitions
from harken.services.integrity.archive.archiving import Archive, Pace
from harken.services.integrity.archive.event_files import Prepared, read
from harken.services.record.admission.subjects import Subject
from harken.services.record.transaction import LOG
from tests.contract.test_erasure_machine import EVENTS, NOW
from tests.contract.test_quarantine_machine import QuarantineMachine
from tests.faults import SOAK
from tests.support.partitions import cut
from tests.support.plain_statistics import plain_figures
from tests.support.statistics import figures

Event = dict[str, Any]


class Killed(Exception):
    """A process ends at a point."""


def time_in(own_id: str) -> datetime | None:
    """Return the time that an id of these tests was made at, if it has one."""
    digits = own_id.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    return datetime.fromtimestamp((int(digits, 16) >> 80) / 1_000, UTC)


class ArchiveMachine(QuarantineMachine):
    """Also drops old events; `self.dropped` are those that are in files and in the baseline."""

    @initialize()
    def open(self) -> None:
        super().open()
        self.dropped: list[Event] = []
        self.begin: datetime | None = None
        self.folder = Path(mkdtemp(prefix="harken-archive-"))
        sessions = self.database._sessions
        self.archive = Archive(
            sessions, self.folder, clock=lambda: NOW, kept=timedelta(0), pace=Pace(3, 0.0)
        )
        # On PostgreSQL some are dropped with their partitions, and others row by row.
        began = NOW - timedelta(minutes=270)
        self.run(cut(self.database, began, NOW, timedelta(minutes=45)))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # What is recorded

    def is_too_old(self, event: Event) -> bool:
        if self.begin is None:
            return False
        made = time_in(event["interaction_id"])
        return event["occurred_at"] < self.begin or (made is not None and made < self.begin)

    def note(self, events: list[Event]) -> None:
        """The first of the events of a group with the same id decides what becomes of it."""
        first: dict[str, Event] = {}
        for event in events:
            if not self.is_refused(event):
                first.setdefault(event["interaction_id"], event)
        for own_id, event in first.items():
            if not self.is_too_old(event):
                self.logged.setdefault(own_id, event)

    @rule(events=st.lists(EVENTS, min_size=1, max_size=8), which=st.integers(0, 1))
    def record(self, events: list[Event], which: int) -> None:
        result = self.run(self.records[which].record_batch(events))
        erased = [i for i, event in enumerate(events) if self.is_refused(event)]
        assert [e.index for e in result.rejected if isinstance(e.error, Erased)] == erased
        known = set(self.logged)
        self.note(events)
        old = [e.index for e in result.rejected if isinstance(e.error, InvalidInput)]
        lost = [i for i, event in enumerate(events) if event["interaction_id"] not in self.logged]
        assert old == [i for i in lost if i not in erased]
        assert result.accepted == len(set(self.logged) - known)

    def events(self) -> list[Event]:
        return [*self.logged.values(), *self.dropped]

    # What is dropped

    def old(self, before: datetime) -> set[str]:
        aside = self.set_aside_ids()
        return {
            own_id for own_id, event in self.logged.items()
            if event["occurred_at"] < before and own_id not in aside
        }  # fmt: skip

    @rule(ago=st.integers(0, 300))
    def drop(self, ago: int) -> None:
        before = NOW - timedelta(minutes=ago)
        wanted = self.old(before)
        plan = self.run(self.archive.plan(before))
        assert plan.events == len(wanted)
        done = self.run(self.archive.run(before))
        self.begin = max(before, self.begin or before)
        assert (done.events, done.complete_since) == (len(wanted), self.begin)
        assert self.note_dropped() == wanted
        # Nothing else is in the folder, and each day has one file.
        files = self.run(self.files())
        names = {each.name for each in files}
        paths = {str(path.relative_to(self.folder)) for path in self.folder.glob("day=*/*")}
        assert paths == names
        assert len({each.day for each in files}) == len(files)

    @rule(
        ago=st.integers(0, 300), steps=st.integers(0, 4),
        point=st.sampled_from(["before the file", "before the commit", "after the commit"]),
    )  # fmt: skip
    def drop_and_be_killed(self, ago: int, steps: int, point: str) -> None:
        """Whatever a process had done, nothing is lost and nothing counts twice."""
        before = NOW - timedelta(minutes=ago)
        wanted = self.old(before)
        with pytest.MonkeyPatch.context() as patched:
            self.kill_at(patched, steps, point)
            try:
                self.run(self.archive.run(before))
            except Killed:
                pass
            else:
                assert len(wanted) <= steps * 3
        self.begin = max(before, self.begin or before)
        assert self.note_dropped() <= wanted

    @staticmethod
    def kill_at(patched: pytest.MonkeyPatch, steps: int, point: str) -> None:
        placed = Prepared.place
        left = iter(range(steps))

        def place(prepared: Prepared) -> None:
            is_last = next(left, None) is None
            if is_last and point == "before the file":
                raise Killed
            placed(prepared)
            if is_last and point == "before the commit":
                raise Killed

        def after(_prepared: Prepared) -> None:
            if next(left, None) is None:
                raise Killed

        if point == "after the commit":
            patched.setattr(Prepared, "settle", after)
        else:
            patched.setattr(Prepared, "place", place)

    def note_dropped(self) -> set[str]:
        """Move what left the log in the model, too; returns the ids."""
        left: set[str] = set(self.logged) - self.run(self.logged_ids())
        self.dropped += [self.logged.pop(own_id) for own_id in left]
        return left

    async def logged_ids(self) -> set[str]:
        async with self.database.reading() as connection:
            return set((await connection.execute(select(LOG.c.id))).scalars())

    async def files(self) -> list[Any]:
        async with self.database.reading() as connection:
            return await file_register.registered(connection)

    # What is taken out again

    @rule(subject=st.sampled_from(Subject), data=st.data())
    def erase(self, subject: Subject, data: Any) -> None:
        names = ["ada", "bob"] if subject is Subject.READER else ["k1", "k2", "k3"]
        own_id = data.draw(st.sampled_from(names))
        field = "user_id" if subject is Subject.READER else "kblock_id"
        own = {each for each, event in self.logged.items() if event[field] == own_id}
        dropped = [event for event in self.dropped if event[field] == own_id]
        work = self.erasure.erase(subject, own_id, rebuild_file=False)
        if not own and not dropped and (subject, own_id) not in self.erased:
            with pytest.raises(NotFound):
                self.run(work)
            return
        receipt = self.run(work)
        if own or dropped:
            assert receipt.counts.get("events", 0) == len(own)
            assert receipt.counts.get("archived_events", 0) == len(dropped)
        assert receipt.missing_files == 0
        self.erased.add((subject, own_id))
        self.logged = {name: each for name, each in self.logged.items() if name not in own}
        self.dropped = [event for event in self.dropped if event[field] != own_id]

    def note_meanwhile(self, new: list[Event], other: str, another: Any) -> None:
        super().note_meanwhile(new, other, another)
        if other == "erase":
            self.dropped = [each for each in self.dropped if each["kblock_id"] != "k3"]

    @precondition(lambda self: hasattr(self, "dropped"))
    @rule()
    def rebuild_with_other_slots(self) -> None:
        """Half-lives that stay are exact, whatever their slot was."""
        self.run(self.records[0].rebuild(DEFAULT_HALF_LIVES[::-1]))
        counted = self.counted()
        assert self.run(figures(self.database)).decayed == pytest.approx(
            plain_figures(counted, DEFAULT_HALF_LIVES[::-1]).decayed, abs=1e-9
        )
        self.run(self.records[0].rebuild(DEFAULT_HALF_LIVES))

    def counted(self) -> list[Event]:
        aside = self.set_aside_ids()
        own = [each for own_id, each in self.logged.items() if own_id not in aside]
        return [*own, *self.dropped]

    @invariant()
    def every_statistic_is_that_of_all_events(self) -> None:
        if hasattr(self, "dropped"):
            found = self.run(figures(self.database))
            wanted = plain_figures(self.counted(), DEFAULT_HALF_LIVES)
            empty = found.exact.keys() - wanted.exact.keys()
            # A correction may leave minutes that add up to nothing, until they are folded.
            assert all(not any(found.exact.pop(key)) for key in empty)
            assert found.exact == wanted.exact
            assert found.decayed == pytest.approx(wanted.decayed, abs=1e-9)

    @invariant()
    def the_files_have_what_was_dropped(self) -> None:
        if hasattr(self, "dropped"):
            rows = [row for file in self.run(self.files()) for row in read(file)]
            wanted = [(e["interaction_id"], e["kblock_id"], e["occurred_at"]) for e in self.dropped]
            found = [(row["interaction_id"], row["kblock_id"], row["occurred_at"]) for row in rows]
            assert Counter(found) == Counter(wanted)


@pytest.mark.slow
@pytest.mark.timeout(3_600 if SOAK else 300)
def test_statistics_are_those_of_a_log_that_was_never_shortened(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_partitions, "MOST_READ", 3)
    machine = type("Machine", (ArchiveMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if SOAK else 2,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
