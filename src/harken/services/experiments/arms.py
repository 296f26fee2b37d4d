"""Arms of experiments in feeds: which of them a page is served by.

An arm applies where the request names no ranking, and no setting of one. What a request names is
served as asked, and not counted. A reader who switched personalisation off keeps their assigned
arm. If it has a personal ranking, they get the feed as it is without the experiment.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harken.domain.feeds import RANKINGS
from harken.domain.slates import Exposure, Trial
from harken.errors import InvalidInput, Problem, close_to
from harken.services.experiments.adaptive.versions import Assigned
from harken.services.experiments.definitions import INTERLEAVED, Arm, Experiment, Kind
from harken.services.experiments.running import forced_arm, is_in
from harken.services.experiments.service import Experiments
from harken.services.experiments.units import Unit
from harken.services.record.readers import ReaderContext
from harken.services.registry.serving import ModelsInService


class Served(NamedTuple):
    """The arms that an experiment serves to a reader.

    arms: none for the feed as it is without the experiment, two for an interleaving.
    trial: what the slate names; None if the experiment was stopped just now.
    exposure: None also for a tester who cannot be told from other guests.
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    trial: Trial | None = None
    exposure: Exposure | None = None


class Arms:
    """The arms of one database's running experiments."""

    def __init__(self, experiments: Experiments, models: ModelsInService) -> None:
        self._experiments = experiments
        self._models = models

    async def serve(
        self, feed: str, unit: Unit, context: ReaderContext, forced: str | None = None
    ) -> Served | None:
        """Return what a first page is served by; None if it is in no experiment.

        It is also None while a machine is too busy to load the model of an arm in time: that page
        does not count.

        `forced` is the arm that a tester names. Raises InvalidInput for a wrong one, or
        DatabaseUnavailable.
        """
        running = await self._experiments.running.on(feed)
        if forced is not None:
            experiment, own = _forced(forced, running)
        else:
            # Slots keep a unit from being in more than one.
            found = next(
                (each for each in running if is_in(each, unit.id, is_guest=unit.is_guest)), None
            )
            if found is None or not unit.id:
                return None
            experiment, own = found, await self._experiments.assign(found, unit)
        name = own.arm
        trial = Trial(
            experiment.id, experiment.version, name, unit.guest_session,
            is_forced=forced is not None, is_interleaved=_is_interleaved(experiment, name),
        )  # fmt: skip
        exposure = Exposure(
            trial, unit.user_id, own.propensity, context.personalized, own.allocation
        )
        served = Served(experiment, _arms(experiment, name), trial, exposure if unit.id else None)
        return await self._usable(served, context)

    async def _usable(self, served: Served, context: ReaderContext) -> Served | None:
        """Return what can be served; None while a model cannot be loaded for the time being."""
        for arm in served.arms:
            if not await self._is_readable(arm):
                if (await self._models.named(arm.model)).is_temporary:
                    return None
                reason = f"the model {arm.model} cannot be used"
                return await self.without(served, arm, reason)
        is_personal = any(RANKINGS[arm.ranked_by].is_personal for arm in served.arms)
        if is_personal and not context.personalized and served.trial is not None:
            plain = served.trial._replace(is_interleaved=False)
            return served._replace(arms=(), trial=plain)
        return served

    async def without(self, served: Served, broken: Arm, reason: str) -> Served:
        """Stop an experiment with an arm that cannot be served; returns another arm of it.

        Raises DatabaseUnavailable.
        """
        await self._experiments.stop_broken(
            served.experiment, f"the arm {broken.name} cannot be served: {reason}"
        )
        given = served.experiment.definition
        others = [given.arm(given.compared_with), *given.arms]
        other = next(each for each in others if each is not None and each.name != broken.name)
        arms = (other,) if await self._is_readable(other) else ()
        return Served(served.experiment, arms)

    async def _is_readable(self, arm: Arm) -> bool:
        return arm.model is None or (await self._models.named(arm.model)).model is not None


def _is_interleaved(experiment: Experiment, name: str) -> bool:
    return experiment.definition.kind is Kind.INTERLEAVING and name == INTERLEAVED


def _arms(experiment: Experiment, name: str) -> tuple[Arm, ...]:
    if _is_interleaved(experiment, name):
        return experiment.definition.arms
    return tuple(each for each in experiment.definition.arms if each.name == name)


def _forced(given: str, running: Sequence[Experiment]) -> tuple[Experiment, Assigned]:
    """Return the experiment and the arm that a tester names. Raises InvalidInput."""
    name, _, arm = given.rpartition(":")
    experiment = next((each for each in running if each.id == name), None)
    if experiment is None:
        known = [each.id for each in running]
        raise InvalidInput(
            Problem(
                "arm",
                "must be the id of an experiment that runs on this feed, a colon and an arm; "
                f"{close_to(name, known)}running are {', '.join(known) or 'none'}",
            )
        )
    return experiment, forced_arm(experiment, arm)
