"""The store of experiments: every version with its state, and who has which slot of a layer.

A started version never changes. States go from draft to running to stopped to decided. All changes
of one database take turns, so that what is checked before a change still holds when it is made.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind, translated
from harken.errors import InvalidInput, NotFound, Problem, quoted
from harken.models import FeedExperiment, FeedExposure, FeedLayerSlot
from harken.models.types import table
from harken.services.experiments.adaptive.store import add_allocation, read_allocations
from harken.services.experiments.adaptive.versions import ANNOUNCED, EVERY, Allocation
from harken.services.experiments.definitions import (
    Definition,
    Experiment,
    State,
    define,
    unreadable_allocation,
)
from harken.unreadable_rows import Unreadable, parsed

EXPERIMENTS = table(FeedExperiment)
SLOTS = table(FeedLayerSlot)
EXPOSURES = table(FeedExposure)
MOST_LISTED = 1_000
MOST_RUNNING = 100
BY_DEFINITION = "the definition"
"""Who computed the first version of an allocation."""
LOCK = 0x6861726B656E01
"""The advisory lock of changes on PostgreSQL; SQLite has one writer at a time anyway."""

Clock = Callable[[], datetime]


class ExperimentStore:
    """The experiments of one database."""

    def __init__(self, database: Database, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock
        self._unreadable = Unreadable()
        self.changes = 0
        """Counts the writes of this object that may have changed what runs."""

    async def create(self, definition: Definition) -> Experiment:
        """Store a definition as a draft, and return it.

        It replaces the latest version if that is a draft; else it is the next version. Raises
        DatabaseUnavailable.
        """
        text_ = json.dumps(definition.model_dump(mode="json", exclude_unset=True))
        async with self._changing() as connection:
            latest = await _latest(connection, definition.id)
            at = self._clock()
            version = 1 if latest is None else int(latest.experiment_version) + 1
            if latest is not None and latest.state == State.DRAFT:
                version -= 1
                of = _is(definition.id, version)
                await connection.execute(delete(EXPERIMENTS).where(of))
            row = {
                "experiment_id": definition.id, "experiment_version": version,
                "state": State.DRAFT.value, "definition": text_, "created_at": at,
            }  # fmt: skip
            await connection.execute(insert(EXPERIMENTS).values(row))
        return Experiment(definition, version, State.DRAFT, at)

    async def get(self, experiment_id: str, version: int | None = None) -> Experiment:
        """Return a version of an experiment, by default the latest.

        Raises NotFound, InvalidInput for a row that cannot be read, or DatabaseUnavailable.
        """
        async with self._database.reading() as connection:
            row = await _row(connection, experiment_id, version)
            return (await _completed(connection, [_read(row)]))[0]

    async def latest_running(self, experiment_id: str) -> Experiment:
        """Return the running version of an experiment.

        Raises NotFound, InvalidInput if none runs, or DatabaseUnavailable.
        """
        async with self._database.reading() as connection:
            running = await self._in_state(connection, experiment_id, State.RUNNING)
            return (await _completed(connection, [running]))[0]

    async def listed(self) -> list[Experiment]:
        """Return all versions, the latest created first, at most 1,000.

        Raises DatabaseUnavailable.
        """
        latest = EXPERIMENTS.c.created_at.desc(), EXPERIMENTS.c.experiment_version.desc()
        return await self._found(select(EXPERIMENTS).order_by(*latest).limit(MOST_LISTED))

    async def running(self) -> list[Experiment]:
        """Return what runs, the earliest started first. Raises DatabaseUnavailable."""
        running = EXPERIMENTS.c.state == State.RUNNING.value
        started = EXPERIMENTS.c.started_at, EXPERIMENTS.c.experiment_id
        wanted = select(EXPERIMENTS).where(running).order_by(*started).limit(MOST_RUNNING)
        return await self._found(wanted)

    async def _found(self, wanted: Any) -> list[Experiment]:
        found = []
        async with self._database.reading() as connection:
            for row in (await connection.execute(wanted)).all():
                try:
                    found.append(_read(row))
                except InvalidInput:
                    self._unreadable.name("experiment", row.experiment_id, "create it again")
            completed = await _completed(connection, found)
        for each in completed:
            if each.lacks_allocation:
                self._unreadable.name("allocation of the experiment", each.id, "stop it")
        return [each for each in completed if not each.lacks_allocation]

    async def start(self, experiment_id: str) -> Experiment:
        """Start the latest version, and take its slots.

        Raises NotFound, InvalidInput if it is no draft or if another experiment has its slots or
        the layer of its feeds, or DatabaseUnavailable.
        """
        async with self._changing() as connection:
            draft = _read(await _row(connection, experiment_id, None))
            if draft.state is not State.DRAFT:
                raise InvalidInput(Problem("state", _NO_DRAFT[draft.state].format(draft.name)))
            await self._check_layers(connection, draft)
            await self._take_slots(connection, draft)
            at = self._clock()
            await self._set(connection, draft, {"state": State.RUNNING.value, "started_at": at})
            if draft.is_adaptive:
                first = Allocation(1, draft.shares, at, at, BY_DEFINITION, 0)
                await add_allocation(connection, (draft.id, draft.version), first)
        self.changes += 1
        return await self.get(experiment_id, draft.version)

    async def _check_layers(self, connection: AsyncConnection, draft: Experiment) -> None:
        """Raise InvalidInput if a feed of the experiment is in another layer already."""
        wanted = select(EXPERIMENTS).where(EXPERIMENTS.c.state == State.RUNNING.value)
        given = draft.definition
        for row in (await connection.execute(wanted)).all():
            other = _read(row)
            shared = set(given.feeds) & set(other.definition.feeds)
            if shared and other.definition.in_layer != given.in_layer:
                raise InvalidInput(
                    Problem(
                        "layer",
                        f"the feed {min(shared)} is in the layer {other.definition.in_layer!r} of "
                        f"{other.name}, which runs; a feed has one layer: use that one",
                    )
                )

    async def _take_slots(self, connection: AsyncConnection, draft: Experiment) -> None:
        given = draft.definition
        first, last = given.slots
        taken = and_(SLOTS.c.layer == given.in_layer, SLOTS.c.slot.between(first, last))
        owned = (
            select(
                SLOTS.c.experiment_id, SLOTS.c.experiment_version,
                func.min(SLOTS.c.slot), func.max(SLOTS.c.slot),
            )
            .where(taken)
            .group_by(SLOTS.c.experiment_id, SLOTS.c.experiment_version)
        )  # fmt: skip
        owner = (await connection.execute(owned)).first()
        if owner is not None:
            name, version, low, high = owner
            raise InvalidInput(
                Problem(
                    "slots",
                    f"{low} to {high} of the layer {given.in_layer!r} belong to {name}, version "
                    f"{version}, which runs; take other slots, or stop it first",
                )
            )
        rows = [
            {
                "layer": given.in_layer, "slot": slot,
                "experiment_id": draft.id, "experiment_version": draft.version,
            }
            for slot in range(first, last + 1)
        ]  # fmt: skip
        await connection.execute(insert(SLOTS), rows)

    async def stop(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """Stop the running version, and free its slots.

        Raises NotFound, InvalidInput if no version of it runs, or DatabaseUnavailable.
        """
        async with self._changing() as connection:
            running = await self._in_state(connection, experiment_id, State.RUNNING)
            own = and_(
                SLOTS.c.experiment_id == running.id, SLOTS.c.experiment_version == running.version
            )
            await connection.execute(delete(SLOTS).where(own))
            stopped = {
                "state": State.STOPPED.value, "stopped_at": self._clock(), "stop_reason": reason,
            }  # fmt: skip
            await self._set(connection, running, stopped)
        self.changes += 1
        return await self.get(experiment_id, running.version)

    async def decide(self, experiment_id: str, decision: Mapping[str, Any]) -> Experiment:
        """Store a decision on the latest stopped version.

        Raises NotFound, InvalidInput if none is stopped, or DatabaseUnavailable.
        """
        async with self._changing() as connection:
            stopped = await self._in_state(connection, experiment_id, State.STOPPED)
            decided = {
                "state": State.DECIDED.value, "decided_at": self._clock(),
                "decision": json.dumps(dict(decision)),
            }  # fmt: skip
            await self._set(connection, stopped, decided)
        return await self.get(experiment_id, stopped.version)

    async def allocate(
        self, experiment: Experiment, shares: Mapping[str, float], readers: int, by: str
    ) -> Allocation:
        """Store the next version of a running experiment's allocation, in force in a minute.

        Raises NotFound, InvalidInput if it does not run any more, or if the latest version is less
        than a day old, or DatabaseUnavailable.
        """
        async with self._changing() as connection:
            running = await self._in_state(connection, experiment.id, State.RUNNING)
            [running] = await _completed(connection, [running])
            now, versions = self._clock(), running.allocations
            if versions is None or running.version != experiment.version:
                raise InvalidInput(Problem("id", f"{experiment.name} does not run any more"))
            check_due(running, now)
            number = versions.latest.version + 1
            found = Allocation(number, dict(shares), now + ANNOUNCED, now, by, readers)
            await add_allocation(connection, (running.id, running.version), found)
        self.changes += 1
        return found

    async def _in_state(
        self, connection: AsyncConnection, experiment_id: str, state: State
    ) -> Experiment:
        latest = _read(await _row(connection, experiment_id, None))
        own = EXPERIMENTS.c.experiment_id == experiment_id
        wanted = select(EXPERIMENTS).where(own, EXPERIMENTS.c.state == state.value)
        ordered = wanted.order_by(EXPERIMENTS.c.experiment_version.desc()).limit(1)
        row = (await connection.execute(ordered)).one_or_none()
        if row is None:
            raise InvalidInput(
                Problem("state", f"{latest.name} is {latest.state.value}, not {state.value}")
            )
        return _read(row)

    async def _set(
        self, connection: AsyncConnection, experiment: Experiment, values: Mapping[str, Any]
    ) -> None:
        of = _is(experiment.id, experiment.version)
        await connection.execute(update(EXPERIMENTS).where(of).values(values))

    async def exposed(self, experiment: Experiment) -> dict[str, int]:
        """Return how many units came into each arm, testers left out.

        Raises DatabaseUnavailable.
        """
        counted = (
            select(EXPOSURES.c.arm, func.count())
            .where(
                EXPOSURES.c.experiment_id == experiment.id,
                EXPOSURES.c.experiment_version == experiment.version,
                EXPOSURES.c.is_forced.is_(False),
            )
            .group_by(EXPOSURES.c.arm)
        )
        async with self._database.reading() as connection:
            return {arm: int(count) for arm, count in await connection.execute(counted)}

    def _changing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return _changing(self._database)


def check_due(experiment: Experiment, now: datetime) -> None:
    """Raise InvalidInput if an experiment is not adaptive, or if its allocation is too new."""
    if experiment.lacks_allocation:
        raise InvalidInput(unreadable_allocation(experiment))
    if experiment.allocations is None:
        raise InvalidInput(Problem("id", f"{experiment.name} has no adaptive allocation"))
    due = experiment.allocations.latest.computed_at + EVERY
    if now < due:
        said = f"changes at most once a day, next from {due:%F %H:%M} UTC on"
        raise InvalidInput(Problem("id", f"the allocation of {experiment.name} {said}"))


async def _completed(
    connection: AsyncConnection, experiments: Sequence[Experiment]
) -> list[Experiment]:
    """Add the versions of their allocations to adaptive experiments, if these can be read."""
    lacking = [(each.id, each.version) for each in experiments if each.lacks_allocation]
    found = await read_allocations(connection, lacking)
    return [
        replace(each, allocations=found.get((each.id, each.version))) if each.is_adaptive else each
        for each in experiments
    ]


@asynccontextmanager
async def _changing(database: Database) -> AsyncIterator[AsyncConnection]:
    """Run a transaction that no other change of experiments overlaps."""
    with translated():
        async with database.transaction(Kind.WRITE) as connection:
            if database.is_postgresql:
                await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
            yield connection


_NO_DRAFT = {
    State.RUNNING: "{} runs already",
    State.STOPPED: "{} was stopped, and is not started again; create a new version of it",
    State.DECIDED: "{} is decided, and is not started again; create a new version of it",
}


def _is(experiment_id: str, version: int) -> Any:
    return and_(
        EXPERIMENTS.c.experiment_id == experiment_id,
        EXPERIMENTS.c.experiment_version == version,
    )


async def _latest(connection: AsyncConnection, experiment_id: str) -> Row[Any] | None:
    wanted = select(EXPERIMENTS).where(EXPERIMENTS.c.experiment_id == experiment_id)
    ordered = wanted.order_by(EXPERIMENTS.c.experiment_version.desc()).limit(1)
    return (await connection.execute(ordered)).one_or_none()


async def _row(connection: AsyncConnection, experiment_id: str, version: int | None) -> Row[Any]:
    if version is None:
        row = await _latest(connection, experiment_id)
    else:
        wanted = select(EXPERIMENTS).where(_is(experiment_id, version))
        row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        of = "" if version is None else f" with a version {version}"
        raise NotFound(f"there is no experiment {quoted(experiment_id)}{of}")
    return row


def _read(row: Row[Any]) -> Experiment:
    """Return an experiment; raises InvalidInput if its row cannot be read."""
    fields = parsed(row.definition, dict)
    states = [each.value for each in State]
    if fields is None or row.state not in states or row.created_at is None:
        raise InvalidInput(Problem("id", f"{quoted(row.experiment_id)} cannot be read"))
    return Experiment(
        define(fields), row.experiment_version, State(row.state), row.created_at, row.started_at,
        row.stopped_at, row.stop_reason, row.decided_at, parsed(row.decision, dict),
    )  # fmt: skip
