"""Promotion by trial, one step at a time: look at what runs, decide it, or begin the next trial.

    candidate ──▶ gate ──▶ trial (interleaving) ──▶ promoted ──▶ holdback ──▶ stays, or the old one
                                                └─▶ kept, dropped                comes back

All that is known stands in the database, so a step may be repeated, by any process, at any time.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from harken.database import Database
from harken.errors import InvalidInput, InvalidModel, NotFound, Problem
from harken.services.experiments.definitions import Experiment, State
from harken.services.experiments.definitions import Kind as ExperimentKind
from harken.services.experiments.planned_analysis import propensities
from harken.services.experiments.promotion.candidates import Candidate, Candidates
from harken.services.experiments.promotion.gate import Progress
from harken.services.experiments.promotion.holdbacks import Holdbacks
from harken.services.experiments.promotion.measuring import (
    TrialState,
    experiment_alarm,
    measure_trial,
)
from harken.services.experiments.promotion.plans import (
    CANDIDATE,
    IN_SERVICE,
    TRIAL,
    TrialPlan,
    candidate_of,
    replaced_model,
    trial_id,
    trial_of,
)
from harken.services.experiments.promotion.reader_log import ReaderLog
from harken.services.experiments.service import Experiments
from harken.services.registry.registry import Registry

Clock = Callable[[], datetime]


@dataclass
class Step:
    """The result of one step: sentences, and the details as JSON values."""

    said: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    promoted: str | None = None
    """The model that entered service in this step."""

    def say(self, sentence: str) -> None:
        """Add a sentence."""
        self.said.append(sentence)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"said": self.said, "promoted": self.promoted, **self.details}


class Trials:
    """The trials of one database's models.

    `objectives` are the weights by which servers order. A trial has to end within `retention`, for
    which slates are kept. `margin` is that of retrained models; None where models are promoted by
    replay.
    """

    def __init__(
        self, database: Database, registry: Registry, experiments: Experiments,
        objectives: Mapping[str, float], retention: timedelta, margin: float | None, clock: Clock,
    ) -> None:  # fmt: skip
        self.margin = margin
        self._registry = registry
        self._experiments = experiments
        self._log = ReaderLog(database)
        self._candidates = Candidates(registry, self._log, objectives)
        self._holdbacks = Holdbacks(registry, experiments, self._log, retention, clock)
        self._retention = retention
        self._clock = clock

    def plan(self, feeds: Sequence[str]) -> TrialPlan:
        """Return the plan of trials on some feeds, by default values.

        Raises InvalidInput where models are promoted by replay.
        """
        if self.margin is None:
            raise InvalidInput(
                Problem(
                    "HARKEN_PROMOTION", "is replay; trials of models need HARKEN_PROMOTION=trial"
                )
            )
        return TrialPlan(feeds, margin=self.margin)

    async def step(
        self, plan: TrialPlan, model_id: str | None = None,
        progress: Progress = lambda _done, _total: None,
    ) -> Step:  # fmt: skip
        """Look at the trial and the holdback that run, or else begin the trial of a model.

        The model is by default the newest one. Raises InvalidInput, NotFound, InvalidModel,
        MissingExtra or DatabaseUnavailable.
        """
        step = Step()
        step.details["holdbacks"] = await self._holdbacks.look(step.say)
        trial = await self._open_trial()
        if trial is None:
            await self._begin(step, plan, model_id, progress)
        elif model_id not in {None, candidate_of(trial)}:
            raise InvalidInput(
                Problem(
                    "id",
                    f"the trial of {candidate_of(trial)} is not over; wait, or end it by "
                    f"`harken experiment stop {trial.id}`",
                )
            )
        else:
            await self._look(step, trial)
        return step

    async def _open_trial(self) -> Experiment | None:
        """Return the trial that runs, or that was stopped and is not decided."""
        for each in await self._experiments.store.listed():
            if each.id.startswith(TRIAL) and each.state in {State.RUNNING, State.STOPPED}:
                return each
        return None

    async def _look(self, step: Step, trial: Experiment) -> None:
        if trial.state is State.STOPPED:
            because = trial.stop_reason or "it was stopped by hand"
            note = f"The model in service stays: the trial stopped, {because}."
            await self._experiments.decide(trial.id, IN_SERVICE, note)
            step.say(note)
            return
        if (reason := await self._problem_of(candidate_of(trial))) is not None:
            note = f"The model in service stays: the candidate cannot be read, {reason}."
            await self._end(trial, IN_SERVICE, note)
            step.say(f"The trial of {candidate_of(trial)} is over. {note}")
            return
        log = await self._log.of_experiment(trial)
        now, alarms = self._clock(), await self._alarms(trial)
        state = await asyncio.to_thread(measure_trial, trial, log, now.timestamp(), alarms)
        step.details["trial"] = {"id": trial.id, **state.as_json()}
        outcome, text = state.decision.outcome, state.decision.text
        if outcome == "promote":
            await self._promote(step, trial, text)
        elif outcome == "continue":
            step.say(f"The trial of {candidate_of(trial)} goes on. {text}{_more(state)}")
        else:
            await self._end(trial, IN_SERVICE, text)
            step.say(f"The trial of {candidate_of(trial)} is over. {text}")

    async def _problem_of(self, model_id: str) -> str | None:
        """Return why a model cannot be read any more, which no page may have noticed; else None."""
        try:
            return (await self._registry.models.get(model_id)).problem
        except (NotFound, InvalidModel) as error:
            return str(error)

    async def _promote(self, step: Step, trial: Experiment, text: str) -> None:
        """Promote the candidate, unless another model entered service meanwhile."""
        candidate, models = candidate_of(trial), self._registry.models
        is_promoted = await models.promote(candidate, instead_of=replaced_model(trial))
        if not is_promoted and await models.in_service() != candidate:
            note = "Not promoted: another model entered service while it was tried."
            await self._end(trial, IN_SERVICE, note)
            step.say(f"The trial of {candidate} is over. {note}")
            return
        step.promoted = candidate
        step.say(f"The trial of {candidate} is over. {text}")
        await self._end(trial, CANDIDATE, text)
        await self._holdbacks.hold_back(trial, step.say)

    async def _end(self, trial: Experiment, arm: str, note: str) -> None:
        await self._experiments.stop(trial.id, note)
        await self._experiments.decide(trial.id, arm, note)

    async def _alarms(self, trial: Experiment) -> list[str]:
        """Return a sentence for each A/B test on the trial's feeds with an alarm."""
        found = []
        for each in await self._experiments.store.running():
            shared = set(each.definition.feeds) & set(trial.definition.feeds)
            if each.definition.kind is ExperimentKind.AB and shared:
                names = list(each.shares)
                came = [own for own in await self._log.arms_of(each) if own[0] in names]
                arms = [names.index(arm) for arm, _version in came]
                rows = propensities(each, names, [version for _arm, version in came])
                found.append(experiment_alarm(each.name, arms, rows))
        return [each for each in found if each is not None]

    async def _begin(
        self, step: Step, plan: TrialPlan, model_id: str | None, progress: Progress
    ) -> None:
        plan = plan.checked()
        candidate = await self._candidates.find(model_id)
        if candidate is None:
            step.say("There is no candidate: the newest model is in service, or there is none.")
            return
        if model_id is None and (before := await self._tried(candidate)) is not None:
            step.say(f"There is no new candidate: {candidate.model.id} was tried. {before}")
            return
        is_open = not plan.asks_gate or await self._passes(step, candidate, plan, progress)
        if is_open and await self._has_readers(step, plan):
            await self._start(step, candidate, plan)

    async def _passes(
        self, step: Step, candidate: Candidate, plan: TrialPlan, progress: Progress
    ) -> bool:
        """Ask the gate, and tell whether it lets the candidate pass."""
        asked = await self._candidates.ask(candidate, plan, self._clock(), progress)
        step.details["gate"] = {"model_id": candidate.model.id, **asked.as_json()}
        step.say(asked.sentence())
        return asked.is_open_for(candidate)

    async def _tried(self, candidate: Candidate) -> str | None:
        """Return how the trial of a candidate ended; None if it was not tried."""
        wanted = trial_id(candidate.model.id)
        for each in await self._experiments.store.listed():
            if each.id == wanted and each.state is State.DECIDED:
                return str((each.decision or {}).get("note") or "")
        return None

    async def _has_readers(self, step: Step, plan: TrialPlan) -> bool:
        """Tell whether a trial would end while its slates are kept; says so if not."""
        a_day, days = await self._candidates.days(plan, self._clock())
        step.details["readers"] = {"a_day": a_day, "needed": plan.readers, "days": days}
        most = self._retention / timedelta(days=1)
        if days is not None and days <= most:
            step.say(f"A trial of {plan.readers} readers takes about {days} days.")
            return True
        takes = "how long a trial takes cannot be told" if days is None else f"it takes {days} days"
        step.say(
            f"Too few readers for a trial of {plan.readers}: {takes}, and pages are kept for "
            f"{most:g} (HARKEN_SLATE_DAYS). Plan with fewer readers, or a larger share."
        )
        return False

    async def _start(self, step: Step, candidate: Candidate, plan: TrialPlan) -> None:
        definition = trial_of(
            candidate.model.id, candidate.serving, plan, retrained=candidate.is_retrained
        )
        created = await self._experiments.create(definition)
        started = await self._experiments.start(created.id)
        step.details["trial"] = {"id": started.id}
        step.say(f"The trial of {candidate.model.id} has begun: {started.name}.")


def _more(state: TrialState) -> str:
    verdicts: Sequence[Any] = list(state.results.verdicts.values())
    days = next((each.days for each in verdicts if each.days is not None), None)
    return "" if days is None else f" About {days} more day{'s' if days > 1 else ''}."
