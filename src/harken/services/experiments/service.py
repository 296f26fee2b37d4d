"""Experiments of one database: create, start, stop, decide; what runs is known without a query.

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
from harken.services.experiments.definitions import Arm, Definition, Experiment, State, define
from harken.services.experiments.observations import ObservationStore
from harken.services.experiments.outcome import as_json, results_of
from harken.services.experiments.past_readers import PastReaderStore
from harken.services.experiments.planning import power_of
from harken.services.experiments.running import Running
from harken.services.experiments.store import Clock, ExperimentStore
from harken.services.record.slates import SlateLedger
from harken.services.registry.store import ModelStore

log = logging.getLogger(__name__)

CheckArm = Callable[[str, Arm], Awaitable[None]]
"""Raises InvalidInput if a feed, given by its name, cannot be ordered by an arm."""


class Experiments:
    """The experiments of one database."""

    def __init__(
        self, database: Database, models: ModelStore, ledger: SlateLedger, check_arm: CheckArm,
        clock: Clock,
    ) -> None:  # fmt: skip
        self.store = ExperimentStore(database, clock)
        self.running = Running(self.store)
        self._observations = ObservationStore(database)
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
        """Keep which arm was chosen after the experiment was stopped.

        Raises NotFound, InvalidInput or DatabaseUnavailable.
        """
        experiment = await self.store.get(experiment_id)
        names = [each.name for each in experiment.definition.arms]
        if arm not in names:
            raise InvalidInput(
                Problem("arm", f"{quoted(arm)} is no arm; arms are {', '.join(names)}")
            )
        return await self.store.decide(experiment_id, {"arm": arm, "note": note})

    async def results(self, experiment_id: str, version: int | None = None) -> dict[str, Any]:
        """Return the results of a version, by default the latest, as JSON values.

        Raises NotFound, InvalidInput for a draft, or DatabaseUnavailable.
        """
        experiment = await self.store.get(experiment_id, version)
        if experiment.state is State.DRAFT:
            raise InvalidInput(
                Problem("state", f"{experiment.name} is draft; results come after its start")
            )
        found = await self._observations.read(experiment)
        results = await asyncio.to_thread(results_of, experiment, found, self._clock())
        return as_json(experiment, found, results)

    async def power(
        self, experiment_id: str, version: int | None = None, effect: float | None = None
    ) -> dict[str, Any]:
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
