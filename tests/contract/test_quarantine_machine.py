"""Events, quarantines, releases, erasures and rebuilds in any order, against a plain log."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from harken.database import Kind
from harken.errors import NotFound
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import SET_ASIDE, Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.transaction import DISMISSALS, LOG
from tests.contract.test_erasure_machine import EVENTS, ErasureMachine
from tests.faults import SOAK
from tests.support.statistics import figures

TARGETS = st.one_of(
    st.tuples(st.just(Target.READER), st.sampled_from(["ada", "bob"])),
    st.tuples(st.just(Target.SESSION), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just(Target.EVENT), st.integers(0, 40).map(str)),
)
FIELDS = {Target.READER: "user_id", Target.SESSION: "session_id", Target.EVENT: "interaction_id"}
BY = Decision("test", confirm=True)
SLOW = datetime(2020, 1, 1, tzinfo=UTC)


async def is_found(act: Coroutine[Any, Any, Any]) -> bool:
    try:
        await act
    except NotFound:
        return False
    return True


class InterruptedQuarantine(Quarantine):
    """Others act between the preparation of an act and its transaction."""

    meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def _repeated(self, prepared: Any, work: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super()._repeated(prepared, work)


class QuarantineMachine(ErasureMachine):
    """Also sets aside and releases; `self.aside` are the rules that should be in force."""

    @initialize()
    def open(self) -> None:
        super().open()
        self.quarantine = InterruptedQuarantine(self.database._sessions)
        self.aside: set[tuple[Target, str]] = set()
        self.hidden: set[tuple[str, str]] = set()

    def ids_of(self, target: Target, own_id: str) -> set[str]:
        field = FIELDS[target]
        return {each for each, event in self.logged.items() if event.get(field) == own_id}

    @rule(
        events=st.lists(
            st.tuples(EVENTS, st.sampled_from([None, "s1", "s2"])), min_size=1, max_size=8
        ),
        which=st.integers(0, 1),
    )
    def record_in_sessions(self, events: list[tuple[dict[str, Any], str | None]], which: int):
        self.record([{**event, "session_id": session} for event, session in events], which)

    @rule(subject=TARGETS)
    def set_aside(self, subject: tuple[Target, str]) -> None:
        target, own_id = subject
        work = self.quarantine.add(target, [own_id], BY)
        if subject not in self.aside and not self.ids_of(target, own_id):
            with pytest.raises(NotFound):
                self.run(work)
            return
        before = self.set_aside_ids()
        outcome = self.run(work)
        if subject in self.aside:
            assert (outcome.changed, outcome.events, list(outcome.already)) == ((), 0, [own_id])
        else:
            assert outcome.events == len(self.ids_of(target, own_id) - before)
        self.aside.add(subject)

    @rule(subject=TARGETS)
    def release(self, subject: tuple[Target, str]) -> None:
        target, own_id = subject
        work = self.quarantine.release(target, [own_id], BY)
        if subject not in self.aside:
            with pytest.raises(NotFound):
                self.run(work)
            return
        before = self.set_aside_ids()
        self.aside.remove(subject)
        assert self.run(work).events == len(before - self.set_aside_ids())

    @rule(subject=TARGETS)
    def set_aside_and_release(self, subject: tuple[Target, str]) -> None:
        """Nothing is changed by an act and its opposite, to the bit or to 1e-9."""
        target, own_id = subject
        if subject in self.aside or not self.ids_of(target, own_id):
            return
        before = self.run(figures(self.database))
        self.run(self.quarantine.add(target, [own_id], BY))
        self.run(self.quarantine.release(target, [own_id], BY))
        after = self.run(figures(self.database))
        assert after.exact == before.exact
        assert after.decayed == pytest.approx(before.decayed, abs=1e-9)

    @rule(
        subject=TARGETS,
        events=st.lists(
            st.tuples(EVENTS, st.sampled_from([None, "s1", "s2"])), min_size=1, max_size=8
        ),
        other=st.sampled_from(["", "", "slow", "rebuild", "erase", "act"]),
        another=TARGETS,
    )
    def act_while_others_do(
        self,
        subject: tuple[Target, str],
        events: list[tuple[dict[str, Any], str | None]],
        other: str,
        another: tuple[Target, str],
    ) -> None:
        """What happens between the snapshot and the transaction is in the statistics, too."""
        if subject not in self.aside and not self.ids_of(*subject):
            return
        new = [{**event, "session_id": session} for event, session in events]
        if other == "act" and (another in {*self.aside, subject} or not self.ids_of(*another)):
            other = ""
        if other == "erase" and all(each["kblock_id"] != "k3" for each in self.logged.values()):
            other = ""
        self.quarantine.meanwhile = lambda: self.do_meanwhile(new, other, another)
        act = self.quarantine.release if subject in self.aside else self.quarantine.add
        is_done = self.run(is_found(act(subject[0], [subject[1]], BY)))
        self.note_meanwhile(new, other, another)
        assert is_done or not self.ids_of(*subject)
        if is_done:
            self.aside ^= {subject}

    async def do_meanwhile(
        self, new: list[dict[str, Any]], other: str, another: tuple[Target, str]
    ) -> None:
        await self.records[1].record_batch(new)
        if other == "slow":  # as a transaction that began long before it was committed
            ids = [each["interaction_id"] for each in new]
            async with self.database.transaction(Kind.WRITE) as connection:
                own = update(LOG).where(LOG.c.id.in_(ids))
                await connection.execute(own.values(updated_at=SLOW))
        elif other == "rebuild":
            await self.records[0].rebuild()
        elif other == "act":
            await Quarantine(self.database._sessions).add(another[0], [another[1]], BY)
        elif other == "erase":
            await self.erasure.erase(Subject.KBLOCK, "k3", rebuild_file=False)

    def note_meanwhile(
        self, new: list[dict[str, Any]], other: str, another: tuple[Target, str]
    ) -> None:
        self.note(new)
        if other == "act":
            self.aside.add(another)
        elif other == "erase":
            self.erased.add((Subject.KBLOCK, "k3"))
            self.logged = {n: e for n, e in self.logged.items() if e["kblock_id"] != "k3"}

    def events(self) -> list[dict[str, Any]]:
        """Return every event that was recorded and not erased."""
        return list(self.logged.values())

    def set_aside_ids(self) -> set[str]:
        return {each for subject in self.aside for each in self.ids_of(*subject)}

    @invariant()
    def what_is_set_aside_is_that_of_the_model(self) -> None:
        if not hasattr(self, "aside"):
            return
        # An erasure ends the quarantine of its reader, and of each event that it removed.
        self.aside = {
            (target, own_id)
            for target, own_id in self.aside
            if (target is not Target.READER or (Subject.READER, own_id) not in self.erased)
            and (target is not Target.EVENT or own_id in self.logged)
        }
        assert self.run(self.marked()) == self.set_aside_ids()

    @invariant()
    def what_a_reader_hides_stays_hidden(self) -> None:
        if hasattr(self, "aside"):
            wanted = {
                (event["user_id"], event["kblock_id"])
                for event in self.events()
                if event["action"] == "dismiss" and event["user_id"] != "guest"
            }
            assert self.run(self.dismissed()) == wanted

    async def marked(self) -> set[str]:
        async with self.database.reading() as connection:
            found = await connection.execute(select(SET_ASIDE.c.interaction_id))
            known = set((await connection.execute(select(LOG.c.id))).scalars())
            marked = set(found.scalars())
        assert marked <= known
        return marked

    async def dismissed(self) -> set[tuple[str, str]]:
        async with self.database.reading() as connection:
            found = await connection.execute(select(DISMISSALS.c.user_id, DISMISSALS.c.kblock_id))
            return {(row[0], row[1]) for row in found}


@pytest.mark.slow
@pytest.mark.timeout(3_600 if SOAK else 300)
def test_only_what_is_not_set_aside_counts(database_url: str) -> None:
    machine = type("Machine", (QuarantineMachine,), {"url": database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if SOAK else 5,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
