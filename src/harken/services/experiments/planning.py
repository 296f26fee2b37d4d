"""Before the start: what an experiment can find with its planned readers, and in how many days."""

import math
from typing import Any, NamedTuple

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.power import POWER, PowerPlan, Spread, power_plan, spread
from harken.services.experiments.definitions import Definition, Experiment, Kind
from harken.services.experiments.past_readers import PastReaders
from harken.services.experiments.planned_analysis import metric_values

MOST_CREDIT_VARIANCE = 1.0
"""A credit lies between −1 and 1."""


class ExperimentPower(NamedTuple):
    """What a version of an experiment can find; `measured` is its metric in the log so far."""

    experiment: Experiment
    measured: Spread
    plan: PowerPlan

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; a credit has no value in a log without trials."""
        definition = self.experiment.definition
        is_credit = definition.kind is Kind.INTERLEAVING
        return {
            "id": self.experiment.id,
            "version": self.experiment.version,
            "metric": definition.measured_by.name,
            "value": None if is_credit else round(self.measured.value, 9),
            "measured_on": self.measured.readers,
            "power": POWER,
            **self.plan.as_json(),
        }


def power_of(experiment: Experiment, past: PastReaders, effect: float | None) -> ExperimentPower:
    """Return the effect that the planned readers find with a power of 0.8.

    With an `effect`, above 0 and in the unit of the metric, return the readers that it needs. Arms
    count as equally large. Raises InvalidInput if the log has too little to tell.
    """
    definition = experiment.definition
    measured = _measured(definition, past)
    found = power_plan(
        measured,
        past.readers_by_day,
        definition.window_days,
        effect=effect,
        readers=definition.planned_size if effect is None else None,
        arms=len(definition.arms),
        alpha=definition.alpha,
    )
    return ExperimentPower(experiment, measured, found)


def _measured(definition: Definition, past: PastReaders) -> Spread:
    """Return the spread of the primary metric; for credits, which no log has, the largest one."""
    if definition.kind is Kind.INTERLEAVING:
        # The formulas are for the difference of two arms of n/2 readers each, which has 4 times
        # the variance of a mean of n.
        most = MOST_CREDIT_VARIANCE / 4
        return Spread(len(past.found.user_ids), 0.0, most, most)
    measured = spread(metric_values(definition.measured_by, past.found))
    if not (math.isfinite(measured.variance) and measured.variance > 0):
        name = definition.measured_by.name
        raise InvalidInput(
            Problem("metric", f"{name} does not differ between the readers of the log")
        )
    return measured
