"""Experiments as flags: what the product's own code gets for a unit, and when it was exposed.

An evaluation stores nothing; an exposure is stored when the code says that it used the value. A
tester, who names the arm, is the exception: they are marked when the service evaluates.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from harken.domain.slates import Exposure, Trial
from harken.errors import InvalidInput, NotFound, Problem, close_to, quoted
from harken.services.experiments.adaptive.versions import Assigned
from harken.services.experiments.definitions import Arm, Experiment
from harken.services.experiments.running import assigned, forced_arm, is_in
from harken.services.experiments.units import Unit


class Evaluation(NamedTuple):
    """The value of a flag for a unit: that of its arm, or of control outside the experiment.

    `allocation` is the version of an adaptive allocation by which it has the arm.
    """

    experiment: Experiment
    value: Any
    arm: str | None
    propensity: float | None
    allocation: int | None = None
    is_forced: bool = False

    @property
    def reason(self) -> str:
        """The reason in OpenFeature's terms."""
        if self.is_forced:
            return "TARGETING_MATCH"
        return "DEFAULT" if self.arm is None else "SPLIT"


def evaluate(
    experiment: Experiment, unit: str, *, is_guest: bool = False, forced: str | None = None
) -> Evaluation:
    """Return what a unit gets, without a database; the arm is None outside the experiment.

    `forced` is what a tester names, as `<experiment>:<arm>`; another experiment's arm changes
    nothing here. Raises InvalidInput if it cannot be used, and for an adaptive experiment.
    """
    if (name := arm_named(experiment, forced)) is not None:
        return evaluation(experiment, forced_arm(experiment, name), is_forced=True)
    if not is_in(experiment, unit, is_guest=is_guest):
        given = experiment.definition
        control = given.arm(given.compared_with)
        return Evaluation(experiment, value_of(control or given.arms[0]), None, None)
    return evaluation(experiment, assigned(experiment, unit))


def evaluation(experiment: Experiment, own: Assigned, *, is_forced: bool = False) -> Evaluation:
    """Return the evaluation of a unit whose arm is known."""
    arm = experiment.definition.arm(own.arm)
    value = own.arm if arm is None else value_of(arm)
    propensity = None if is_forced else own.propensity
    return Evaluation(experiment, value, own.arm, propensity, own.allocation, is_forced)


def arm_named(experiment: Experiment, forced: str | None) -> str | None:
    """Return the arm of an experiment that a tester names; None if they name another experiment's.

    Raises InvalidInput if they name no experiment.
    """
    if forced is None:
        return None
    name, colon, arm = forced.rpartition(":")
    if not colon:
        raise InvalidInput(Problem("arm", "must be the id of an experiment, a colon and an arm"))
    return arm if name == experiment.id else None


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


def check_exposable(experiment: Experiment, unit: Unit, *, is_forced: bool = False) -> None:
    """Raise InvalidInput for a unit that cannot be exposed to a flag.

    That is a unit outside the experiment, unless it is a tester, and a guest without a session. An
    experiment with feeds is refused: its pages record who saw them.
    """
    if not experiment.definition.is_flag:
        raise InvalidInput(
            Problem("experiment", "compares rankings of feeds, whose pages record who saw them")
        )
    if not unit.id:
        raise InvalidInput(Problem("session_id", "is required for a guest"))
    if not (is_forced or is_in(experiment, unit.id, is_guest=unit.is_guest)):
        named = "session_id" if unit.is_guest else "user_id"
        raise InvalidInput(Problem(named, f"is not in the experiment {experiment.name}"))


def exposure_of(
    experiment: Experiment, unit: Unit, own: Assigned, *, is_forced: bool = False
) -> Exposure:
    """Return the exposure of a unit to its arm: of a reader, or of a guest's session."""
    trial = Trial(
        experiment.id, experiment.version, own.arm, unit.guest_session, is_forced=is_forced
    )
    return Exposure(trial, unit.user_id, own.propensity, allocation=own.allocation)
