"""Experiments of one database: create, start, stop, decide, evaluate.

`check_arm` of the feeds is called for each arm and feed, before a definition is stored and again
before it is started, so that whatever is refused is refused to the operator and not to readers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from harken.database import Database
from harken.domain.slates import Exposure
from harken.errors import InvalidInput, InvalidModel, NotFound, Problem, quoted
from harken.services.experiments.adaptive.store import KeptArms
from harken.services.experiments.adaptive.versions import Allocation, Assigned, assigned_by
from harken.services.experiments.definitions import Arm, Definition, Experiment, State, define
from harken.services.experiments.flags import (
    Evaluation,
    arm_named,
    check_exposable,
    evaluate,
    evaluation,
    exposure_of,
)
from harken.services.experiments.observations import ObservationStore
from harken.services.experiments.past_readers import PastReaderStore
from harken.services.experiments.planned_analysis import ExperimentResults, next_shares, results_of
from harken.services.experiments.planning import ExperimentPower, power_of
from harken.services.experiments.running import Running, assigned, forced_arm, is_in
from harken.services.experiments.store import Clock, ExperimentStore, check_due
from harken.services.experiments.units import Unit
from harken.services.record.slates import SlateLedger
from harken.services.registry.store import ModelStore

log = logging.getLogger(__name__)

CheckArm = Callable[[str, Arm], Awaitable[None]]
"""Raises InvalidInput unless a feed, given by its name, can be ordered by an arm."""


class Experiments:
    """The experiments of one database."""

    def __init__(
        self, database: Database, models: ModelStore, ledger: SlateLedger, check_arm: CheckArm,
        clock: Clock,
    ) -> None:  # fmt: skip
        self.store = ExperimentStore(database, clock)
        self.running = Running(self.store)
        self._observations = ObservationStore(database)
        self._kept = KeptArms(database)
        self._past = PastReaderStore(database)
        self._clock = clock
        self._models = models
        self._ledger = ledger
        self._check_arm = check_arm

    async def create(self, fields: Mapping[str, Any]) -> Experiment:
        """Store a definition as a draft.

        It replaces a draft of the same id; after a started version, it is the next version. Raises
        InvalidInput or DatabaseUnavailable.
        """
        definition = define(fields)
        await self._check(definition)
        return await self.store.create(definition)

    async def start(self, experiment_id: str) -> Experiment:
        """Start the latest version. Raises NotFound, InvalidInput or DatabaseUnavailable."""
        await self._check((await self.store.get(experiment_id)).definition)
        return await self.store.start(experiment_id)

    async def stop(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """Stop what runs; open windows still complete.

        Raises NotFound, InvalidInput or DatabaseUnavailable.
        """
        return await self.store.stop(experiment_id, reason)

    async def decide(self, experiment_id: str, arm: str, note: str | None = None) -> Experiment:
        """Store the arm that was chosen after the experiment was stopped.

        Raises NotFound, InvalidInput or DatabaseUnavailable.
        """
        experiment = await self.store.get(experiment_id)
        names = [each.name for each in experiment.definition.arms]
        if arm not in names:
            raise InvalidInput(
                Problem("arm", f"{quoted(arm)} is no arm; arms are {', '.join(names)}")
            )
        return await self.store.decide(experiment_id, {"arm": arm, "note": note})

    async def results(self, experiment_id: str, version: int | None = None) -> ExperimentResults:
        """Return the results of a version, by default the latest.

        Raises NotFound, InvalidInput for a draft, or DatabaseUnavailable.
        """
        experiment = await self.store.get(experiment_id, version)
        if experiment.state is State.DRAFT:
            raise InvalidInput(
                Problem("state", f"{experiment.name} is a draft; results come after its start")
            )
        found = await self._observations.read(experiment)
        results = await asyncio.to_thread(results_of, experiment, found, self._clock())
        return ExperimentResults(experiment, found, results)

    async def power(
        self, experiment_id: str, version: int | None = None, effect: float | None = None
    ) -> ExperimentPower:
        """Return what the planned readers of a version can find, by the log of the latest days.

        With an effect, return the readers and days that it needs. Raises NotFound, InvalidInput if
        the log has too little to tell, or DatabaseUnavailable.
        """
        experiment = await self.store.get(experiment_id, version)
        past = await self._past.read(experiment.definition, self._clock())
        return await asyncio.to_thread(power_of, experiment, past, effect)

    async def stop_broken(self, experiment: Experiment, reason: str) -> None:
        """Stop an experiment whose arm cannot be served any more, and log why.

        Raises DatabaseUnavailable.
        """
        log.warning("the experiment %s stops: %s", experiment.name, reason)
        with suppress(InvalidInput, NotFound):  # another process stopped it before
            await self.store.stop(experiment.id, reason)

    async def assign(
        self, experiment: Experiment, unit: Unit, allocation: int | None = None
    ) -> Assigned:
        """Return the arm of a unit that is in an experiment.

        Of an adaptive one, it is the arm of its first exposure, or else that of the version in
        force, or of the version `allocation` by which a client evaluated. The database is asked
        only for a unit whose arm differs between versions. Raises InvalidInput for an unknown
        version, or DatabaseUnavailable.
        """
        versions, salt = experiment.allocations, experiment.salt
        if versions is None:
            return assigned(experiment, unit.id)
        wanted = versions.at(self._clock())
        if allocation is not None:
            known = versions.numbered(allocation)
            if known is None:
                problem = f"{allocation} is no version of the allocation of {experiment.name}"
                raise InvalidInput(Problem("allocation", problem))
            wanted = known
        if versions.common_arm(salt, unit.id) is None:
            key = experiment.id, experiment.version
            kept = await self._kept.of(key, unit.user_id, unit.guest_session)
            if kept is not None:
                return kept
        return assigned_by(wanted, salt, unit.id)

    async def evaluate(
        self, experiment: Experiment, unit: Unit, forced: str | None = None
    ) -> Evaluation:
        """Return what a unit gets of a running experiment.

        `forced` is what a tester names, as `<experiment>:<arm>`; they are marked, and left out of
        the results. Raises InvalidInput if it cannot be used, Erased or DatabaseUnavailable.
        """
        is_known = is_in(experiment, unit.id, is_guest=unit.is_guest)
        if experiment.is_adaptive and is_known and arm_named(experiment, forced) is None:
            return evaluation(experiment, await self.assign(experiment, unit))
        found = evaluate(experiment, unit.id, is_guest=unit.is_guest, forced=forced)
        if found.is_forced:
            own = forced_arm(experiment, str(found.arm))
            await self.expose(exposure_of(experiment, unit, own, is_forced=True))
        return found

    async def expose_to_flag(
        self, experiment: Experiment, unit: Unit, arm: str | None = None,
        allocation: int | None = None, *, is_forced: bool = False,
    ) -> str:  # fmt: skip
        """Commit that a unit used the value of a flag, and return its arm.

        `arm` is what the client says it used, `allocation` the version that it had evaluated by,
        `is_forced` marks a tester, who chose the arm. Raises InvalidInput for a unit outside the
        experiment, for another arm than the assigned one, and for an experiment with feeds; Erased
        or DatabaseUnavailable.
        """
        check_exposable(experiment, unit, is_forced=is_forced)
        if is_forced:
            if arm is None:
                raise InvalidInput(Problem("arm", "is required with forced: the arm that was used"))
            own = forced_arm(experiment, arm)
        else:
            own = await self.assign(experiment, unit, allocation)
            if arm is not None and arm != own.arm:
                problem = f"is {quoted(own.arm)} for this unit, not {quoted(arm)}"
                raise InvalidInput(Problem("arm", problem))
        await self.expose(exposure_of(experiment, unit, own, is_forced=is_forced))
        return own.arm

    async def allocate(self, experiment_id: str, by: str) -> Allocation | None:
        """Compute and store the next version of a running experiment's allocation.

        None if it stays as it is: too few readers have closed windows, or the shares are the same.
        `by` says who does it, for the record. Raises NotFound, InvalidInput if it does not run, is
        not adaptive, or changed less than a day ago, or DatabaseUnavailable.
        """
        experiment = await self.store.latest_running(experiment_id)
        now = self._clock()
        check_due(experiment, now)
        found = await self._observations.read(experiment)
        following = await asyncio.to_thread(next_shares, experiment, found, now)
        if following is None:
            return None
        return await self.store.allocate(experiment, *following, by)

    async def expose(self, exposure: Exposure) -> None:
        """Commit an exposure that no page led to.

        Raises Erased if the reader was erased, or DatabaseUnavailable.
        """
        await self._ledger.expose(exposure)

    async def close(self) -> None:
        """Wait for what runs in the background."""
        await self.running.close()

    async def _check(self, definition: Definition) -> None:
        problems: list[Problem] = []
        for place, arm in enumerate(definition.arms):
            if (problem := await self._problem_of_model(arm)) is not None:
                problems.append(Problem(f"arms.{place}.model", problem))
            for feed in definition.feeds:
                try:
                    await self._check_arm(feed, arm)
                except InvalidInput as error:
                    problems += [_located(each, place) for each in error.problems]
        if problems:
            raise InvalidInput(*dict.fromkeys(problems))

    async def _problem_of_model(self, arm: Arm) -> str | None:
        if arm.model is None:
            return None
        try:
            await self._models.load(arm.model)
        except (NotFound, InvalidModel) as error:
            return f"{error}; `harken models list` lists them"
        return None


def _located(problem: Problem, place: int) -> Problem:
    """Return a problem of an arm's settings with the name of its field in the definition."""
    field = "feeds" if problem.field == "feed" else f"arms.{place}.{problem.field}"
    return Problem(field, problem.message)
