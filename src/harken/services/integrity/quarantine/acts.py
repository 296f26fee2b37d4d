"""Sets readers, sessions and events aside, and releases them; each act is one transaction.

    rule      new events are marked by every process from the commit on
    marks     the events of the log that the rule names
    recount   the statistics of exactly these events (see `recounting`)
    audit     who, when, what, why
    wait      for the transactions that began before, and do not know the rule
    settle    the same for what they wrote; after a release, for the marks that they set

An event counts unless it has a mark, so `harken verify` finds no difference at any time, also
between an act and its settling. An act that was interrupted before is settled by the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker
from uuid_utils import uuid7

from harken.database import Database, FailureKind, Kind, classify, translate
from harken.domain.feedback import GUEST
from harken.domain.fields import check_kept_identifier
from harken.errors import InvalidInput, NotFound, Problem
from harken.services.integrity.alerts.alert_store import AlertState, decide
from harken.services.integrity.quarantine.audit import Act, Audit
from harken.services.integrity.quarantine.marks import Mark, Marks
from harken.services.integrity.recounting import Recount
from harken.services.integrity.writers import wait_for_writers
from harken.services.kblocks.turns import read_again
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.tombstones import renew, take_turn
from harken.services.record.group_commit import RETRY_SECONDS

T = TypeVar("T")

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
    """What an act changed."""

    act_id: str | None  # None if nothing changed
    act: Act
    target: Target
    changed: tuple[str, ...]
    already: dict[str, datetime]
    """What was set aside before, and since when."""
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
        outcome = await self._act(lambda turn: self._add(turn, target, wanted, decision))
        await self.settle()
        return outcome

    async def release(self, target: Target, ids: Sequence[str], decision: Decision) -> Outcome:
        """Let the events of readers, sessions or single events count again, exactly as before.

        Events that another quarantine sets aside too stay so. Raises NotFound if one of the ids is
        not set aside, InvalidInput or DatabaseUnavailable; then nothing was released.
        """
        wanted = _checked(target, ids, decision)
        await self.settle()
        outcome = await self._act(lambda turn: self._release(turn, target, wanted, decision))
        await self.settle()
        return outcome

    async def settle(self) -> None:
        """Wait for transactions that do not know the latest acts, and correct what they wrote."""
        if await self._is_settled():
            return
        await wait_for_writers(self._database)
        await self._act(self._settle)

    async def _is_settled(self) -> bool:
        async with self._database.reading() as connection:
            marks = Marks(connection, self._database)
            return not await marks.unsettled() and not await marks.orphaned()

    async def _act(self, work: Callable[["_Turn"], Awaitable[T]]) -> T:
        """Run a transaction that corrects statistics, again if it conflicted with another one."""
        for pause in (*RETRY_SECONDS, None):
            try:
                async with self._database.transaction(Kind.BULK_WRITE) as connection:
                    await take_turn(connection, self._database)
                    turn = _Turn(connection, self._database)
                    await turn.marks.exclude_rebuild()
                    return await work(turn)
            except Exception as error:
                if classify(error) is not FailureKind.RETRY or pause is None:
                    raise translate(error) from error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _add(
        self, turn: "_Turn", target: Target, ids: Sequence[str], decision: Decision
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
            aside, events = await turn.marks.shares()
            _check_share(aside + len(_once(marks)), events)
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
        self, turn: "_Turn", target: Target, ids: Sequence[str], decision: Decision
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

    async def _settle(self, turn: "_Turn") -> None:
        late: list[Mark] = []
        for target, rules in (await turn.marks.unsettled()).items():
            late += await turn.put(await turn.marks.missing(target, rules))
            await turn.marks.settle(rules)
        if orphaned := await turn.marks.orphaned():
            late += await turn.remove(await turn.marks.present(orphaned))
        if late:
            await renew(turn.connection, self._database)

    async def _note(
        self,
        turn: "_Turn",
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


class _Turn:
    """One transaction that changes which events count."""

    def __init__(self, connection: AsyncConnection, database: Database) -> None:
        self.connection = connection
        self.marks = Marks(connection, database)
        self._database = database

    async def put(self, marks: Sequence[Mark]) -> list[Mark]:
        """Set marks; returns those of events that counted before, each event once."""
        changed = _once(marks)
        if not changed:
            if marks:
                await self.marks.put(marks)
            return []
        recount = self._recount(changed)
        counted = await recount.read()
        await self.marks.put(marks)
        await recount.early()
        emptied = await recount.again()
        await recount.subtract(counted.minutes)
        await self._read_again(changed, emptied | counted.contradictory)
        return changed

    async def remove(self, marks: Sequence[Mark]) -> list[Mark]:
        """Remove marks; returns those of events that count again, each event once."""
        changed = _once(marks)
        if marks:
            await self.marks.remove(marks)
        if not changed:
            return []
        recount = self._recount(changed)
        counted = await recount.read()
        await recount.claim()
        await recount.early()
        emptied = await recount.again()
        await recount.add()
        await self._read_again(changed, emptied | counted.contradictory)
        return changed

    def _recount(self, marks: Sequence[Mark]) -> Recount:
        return Recount(self.connection, self._database, [each.event for each in marks])

    async def _read_again(self, changed: Sequence[Mark], others: frozenset[str]) -> None:
        # By revision, not by the time of the statistics: this transaction may take long.
        await read_again(self.connection, {each.event.kblock_id for each in changed} | others)


def _once(marks: Sequence[Mark]) -> list[Mark]:
    own = {each.event.id: each for each in marks if not each.is_shared}
    return list(own.values())


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
