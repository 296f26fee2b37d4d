"""Experiments as flags: what the product's own code gets for a unit, and when it was exposed.

Evaluation needs no database and stores nothing; an exposure is stored when the code says that it
used the value.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from harken.domain.feedback import GUEST
from harken.domain.slates import Exposure, Trial
from harken.errors import InvalidInput, NotFound, Problem, close_to, quoted
from harken.services.experiments.definitions import Arm, Experiment
from harken.services.experiments.running import arm_name, is_in, propensity


class Evaluation(NamedTuple):
    """What a unit gets: the value of its arm, or that of the control arm outside the experiment."""

    experiment: Experiment
    value: Any
    arm: str | None
    propensity: float | None

    @property
    def reason(self) -> str:
        """The reason in OpenFeature's terms."""
        return "DEFAULT" if self.arm is None else "SPLIT"


def evaluate(experiment: Experiment, unit: str, *, is_guest: bool = False) -> Evaluation:
    """Return what a unit gets; the arm is None for a unit outside the experiment."""
    given = experiment.definition
    if not is_in(experiment, unit, is_guest=is_guest):
        control = given.arm(given.compared_with)
        return Evaluation(experiment, value_of(control or given.arms[0]), None, None)
    name = arm_name(experiment, unit)
    arm = given.arm(name)
    value = name if arm is None else value_of(arm)
    return Evaluation(experiment, value, name, propensity(experiment, name))


def value_of(arm: Arm) -> Any:
    """Return the value of an arm: its name, unless the definition gives another."""
    return arm.name if arm.value is None else arm.value


def find_running(running: Sequence[Experiment], experiment_id: str) -> Experiment:
    """Return a running experiment by its id; raises NotFound."""
    known = [each.id for each in running]
    if experiment_id in known:
        return running[known.index(experiment_id)]
    hint, names = close_to(experiment_id, known), ", ".join(known) or "none"
    raise NotFound(f"no experiment {quoted(experiment_id)} runs; {hint}running are {names}")


def exposure_of(
    experiment: Experiment, user_id: str, session_id: str | None, arm: str | None = None
) -> Exposure:
    """Return the exposure of a unit to a flag: of a reader, or of a guest's session.

    `arm` is what the client says it used. Raises InvalidInput for a unit outside the experiment,
    for another arm than the assigned one, and for an experiment with feeds, whose pages expose.
    """
    if not experiment.definition.is_flag:
        raise InvalidInput(
            Problem("experiment", "compares rankings of feeds, whose pages record who saw them")
        )
    is_guest = user_id == GUEST
    unit = (session_id or "") if is_guest else user_id
    if not unit:
        raise InvalidInput(Problem("session_id", "is required for a guest"))
    if not is_in(experiment, unit, is_guest=is_guest):
        named = "session_id" if is_guest else "user_id"
        raise InvalidInput(Problem(named, f"is not in the experiment {experiment.name}"))
    name = arm_name(experiment, unit)
    if arm is not None and arm != name:
        raise InvalidInput(Problem("arm", f"is {quoted(name)} for this unit, not {quoted(arm)}"))
    trial = Trial(experiment.id, experiment.version, name, unit if is_guest else "")
    return Exposure(trial, user_id, propensity(experiment, name))
