"""Sets readers, sessions and events aside, and releases them; each act is one transaction.

    prepare   count the K-Blocks as they will be, without a lock (see `prepared_recount`)
    rule      new events are marked by every process from the commit on
    marks     the events of the log that the rule names
    audit     who, when, what, why
    finish    the statistics of exactly these events
    wait      for the transactions that began before, and do not know the rule
    settle    the same for what they wrote; after a release, for the marks that they set
    fold      counts per minute that became negative in their shard (see `activity`)

An event counts unless it has a mark, so `harken verify` finds no difference at any time, also
between an act and its settling. An act that was interrupted before is settled by the next one.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from uuid_utils import uuid7

from harken.database import Database, Kind
from harken.domain.feedback import GUEST
from harken.domain.fields import check_kept_identifier
from harken.errors import InvalidInput, NotFound, Problem
from harken.services.integrity.activity import Activity
from harken.services.integrity.alerts.alert_store import AlertState, decide
from harken.services.integrity.prepared_recount import UNPREPARED, Preparation
from harken.services.integrity.quarantine.audit import Act, Audit
from harken.services.integrity.quarantine.marks import Mark, Marks
from harken.services.integrity.quarantine.turn import Outdated, Plan, Turn, once
from harken.services.integrity.retrying import repeated
from harken.services.integrity.writers import wait_for_writers
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.rules_token import renew, take_turn

T = TypeVar("T")

Planned = Callable[[Plan], Awaitable[Preparation]]

MOST_PLANS = 3
"""How often an act is prepared if others come between; the last attempt counts under the lock."""
MOST_SHARE = 0.2
"""The share of the log that may be set aside without `confirm`."""
MOST_SUBJECTS = 10_000
MOST_NAMED = 5
LONGEST_REASON = 500


class Decision(NamedTuple):
    """Who acts, why, and on which alert; `confirm` allows more than a fifth of the log."""

    by: str
    reason: str = ""
    alert_id: str | None = None
    confirm: bool = False


class Outcome(NamedTuple):
    """The result of an act."""

    act_id: str | None  # None if nothing changed
    act: Act
    target: Target
    changed: tuple[str, ...]
    already: dict[str, datetime]
    """The ids that were set aside before, and since when."""
    events: int = 0
    """Events that ceased to count, or count again."""
    readers: int = 0
    kblocks: int = 0


class Quarantine:
    """Sets aside and releases in one database."""

    def __init__(
        self, session_factory: async_sessionmaker[AsyncSession], *, schema: str | None = None
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`."""
        self._database = Database(session_factory, schema)
        self.audit = Audit(self._database)

    async def add(self, target: Target, ids: Sequence[str], decision: Decision) -> Outcome:
        """Set readers, sessions or events aside: their events count nothing from now on.

        Those that are set aside already stay so. Raises NotFound if the log has no event of one of
        the others, InvalidInput for no ids, for `guest`, or if more than a fifth of the log would
        be set aside without `confirm`, or DatabaseUnavailable; then nothing was set aside. Also
        raises NotFound for an alert that is not there.
        """
        wanted = _checked(target, ids, decision)
        outcome = await self._act(
            lambda plan: plan.to_leave(target, wanted),
            lambda turn: self._add(turn, target, wanted, decision),
        )
        await self.settle()
        return outcome

    async def release(self, target: Target, ids: Sequence[str], decision: Decision) -> Outcome:
        """Let the events of readers, sessions or single events count again, exactly as before.

        Events that another quarantine sets aside too stay so. Raises NotFound if one of the ids is
        not set aside, InvalidInput or DatabaseUnavailable; then nothing was released.
        """
        wanted = _checked(target, ids, decision)
        await self.settle()

        async def plan(made: Plan) -> Preparation:
            rules = await made.marks.rules(target, wanted)
            return await made.to_return([each.rule for each in rules])

        outcome = await self._act(plan, lambda turn: self._release(turn, target, wanted, decision))
        await self.settle()
        return outcome

    async def settle(self) -> None:
        """Wait for transactions that do not know the latest acts, and correct what they wrote."""
        unsettled, is_orphaned = await self._state()
        if unsettled or is_orphaned:
            await wait_for_writers(self._database)
        for target in unsettled:
            await self._settle(target)
        if is_orphaned:
            await self._act(self._plan_orphaned, self._remove_orphaned)
        while await self._fold():
            pass

    async def _state(self) -> tuple[list[Target], bool]:
        """Return the targets with rules that may have missed events, and if marks lack a rule."""
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            marks = Marks(connection, self._database)
            return list(await marks.unsettled()), bool(await marks.orphaned())

    async def _settle(self, target: Target) -> None:
        async def plan(made: Plan) -> Preparation:
            rules = (await made.marks.unsettled()).get(target, [])
            return await made.to_follow(target, rules)

        async def follow(turn: Turn) -> None:
            rules = (await turn.marks.unsettled()).get(target, [])
            late = await turn.put(await turn.marks.missing(target, rules))
            await turn.marks.settle(rules)
            if late:
                await renew(turn.connection, self._database)

        await self._act(plan, follow)

    async def _plan_orphaned(self, made: Plan) -> Preparation:
        return await made.to_return(await made.marks.orphaned())

    async def _remove_orphaned(self, turn: Turn) -> None:
        if await turn.remove(await turn.marks.present(await turn.marks.orphaned())):
            await renew(turn.connection, self._database)

    async def _fold(self) -> bool:
        """Fold some minutes; returns whether there were any. Others wait for these minutes only."""
        async with self._database.reading() as connection:
            if await Activity(connection, self._database).is_folded():
                return False

        return await self._repeated(
            UNPREPARED, lambda turn: Activity(turn.connection, self._database).fold()
        )

    async def _act(self, plan: Planned, work: Callable[[Turn], Awaitable[T]]) -> T:
        """Run a transaction that corrects statistics, after its preparation."""
        for _ in range(MOST_PLANS):
            async with self._database.reading(Kind.BULK_READ) as connection:
                prepared = await plan(Plan(connection, self._database))
            try:
                return await self._repeated(prepared, work)
            except Outdated:
                continue
        return await self._repeated(UNPREPARED, work)

    async def _repeated(self, prepared: Preparation, work: Callable[[Turn], Awaitable[T]]) -> T:
        """Run a transaction, and again if it conflicted with another one.

        Raises Outdated if another act came between the preparation and the transaction.
        """

        async def attempt() -> T:
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await take_turn(connection, self._database)
                turn = Turn(connection, self._database, prepared)
                await turn.marks.exclude_rebuild()
                await turn.check_plan()
                result = await work(turn)
                await turn.finish()
                return result

        return await repeated(attempt)

    async def _add(
        self, turn: Turn, target: Target, ids: Sequence[str], decision: Decision
    ) -> Outcome:
        known = await turn.marks.rules(target, ids)
        already = {each.subject_id: each.created_at for each in known}
        new = {each: str(uuid7()) for each in ids if each not in already}
        if not new:
            return Outcome(None, Act.QUARANTINE, target, (), already)
        await turn.marks.set_rules(
            [
                {
                    "quarantine_id": rule, "target": target.value, "subject_id": subject_id,
                    "created_by": decision.by, "reason": decision.reason,
                    "alert_id": decision.alert_id,
                }
                for subject_id, rule in new.items()
            ]
        )  # fmt: skip
        marks = await turn.marks.missing(target, list(new.values()))
        _check_found(target, new, marks)
        if not decision.confirm:
            aside, events = await turn.marks.totals()
            _check_share(aside + len(once(marks)), events)
        changed = await turn.put(marks)
        await turn.marks.first_recorded(list(new.values()))
        await renew(turn.connection, self._database)
        if decision.alert_id is not None:
            state, note = AlertState.QUARANTINED, decision.reason
            await decide(turn.connection, decision.alert_id, state, decision.by, note)
        act_id = await self._note(turn, Act.QUARANTINE, target, new, marks, decision)
        outcome = Outcome(act_id, Act.QUARANTINE, target, tuple(new), already)
        return _counted(outcome, changed)

    async def _release(
        self, turn: Turn, target: Target, ids: Sequence[str], decision: Decision
    ) -> Outcome:
        rules = {each.subject_id: each.rule for each in await turn.marks.rules(target, ids)}
        if missing := [each for each in ids if each not in rules]:
            raise NotFound(f"not set aside: {_names(missing)}; nothing was released")
        await turn.marks.lift(list(rules.values()))
        marks = await turn.marks.present(list(rules.values()))
        changed = await turn.remove(marks)
        await renew(turn.connection, self._database)
        act_id = await self._note(turn, Act.RELEASE, target, rules, marks, decision)
        return _counted(Outcome(act_id, Act.RELEASE, target, tuple(rules), {}), changed)

    async def _note(
        self,
        turn: Turn,
        act: Act,
        target: Target,
        rules: dict[str, str],
        marks: Sequence[Mark],
        decision: Decision,
    ) -> str:
        events = dict.fromkeys(rules.values(), 0)
        for mark in marks:
            events[mark.rule] += 1
        return await self.audit.note(
            turn.connection, act, target, {name: events[rule] for name, rule in rules.items()},
            by=decision.by, reason=decision.reason, alert_id=decision.alert_id,
        )  # fmt: skip


def _counted(outcome: Outcome, changed: Sequence[Mark]) -> Outcome:
    return outcome._replace(
        events=len(changed),
        readers=len({each.event.user_id for each in changed}),
        kblocks=len({each.event.kblock_id for each in changed}),
    )


def _checked(target: Target, ids: Sequence[str], decision: Decision) -> list[str]:
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        raise InvalidInput(Problem("ids", f"name at least one {target.value}"))
    if len(wanted) > MOST_SUBJECTS:
        raise InvalidInput(Problem("ids", f"at most {MOST_SUBJECTS:,} at once"))
    for each in wanted:
        check_kept_identifier("ids", each)
    if target is Target.READER and GUEST in wanted:
        raise InvalidInput(
            Problem("ids", f"{GUEST} stands for all unknown readers; set their sessions aside")
        )
    if len(decision.reason) > LONGEST_REASON:
        raise InvalidInput(Problem("reason", f"must have at most {LONGEST_REASON} characters"))
    return wanted


def _check_found(target: Target, new: dict[str, str], marks: Sequence[Mark]) -> None:
    found = {mark.rule for mark in marks}
    if missing := [name for name, rule in new.items() if rule not in found]:
        what = f"not in the log: {target.value} {_names(missing)}"
        raise NotFound(f"{what}; nothing was set aside")


def _check_share(aside: int, events: int) -> None:
    if aside > MOST_SHARE * events:
        raise InvalidInput(
            Problem(
                "confirm",
                f"{aside:,} of {events:,} events would be set aside; "
                "confirm it if that is what you want",
            )
        )


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(map(repr, ids[:MOST_NAMED])) + more
