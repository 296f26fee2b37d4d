"""Before the start: what an experiment can find with its planned readers, and in how many days."""

import math
from typing import Any

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.power import POWER, Spread, power_plan, spread
from harken.services.experiments.definitions import Definition, Experiment, Kind
from harken.services.experiments.outcome import metric_values
from harken.services.experiments.past_readers import PastReaders

MOST_CREDIT_VARIANCE = 1.0
"""A credit lies between −1 and 1."""


def power_of(experiment: Experiment, past: PastReaders, effect: float | None) -> dict[str, Any]:
    """Return, as JSON values, the effect that the planned readers find with a power of 0.8.

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
    is_credit = definition.kind is Kind.INTERLEAVING
    return {
        "id": experiment.id,
        "version": experiment.version,
        "metric": definition.measured_by.name,
        "value": None if is_credit else round(measured.value, 9),
        "measured_on": measured.readers,
        "power": POWER,
        **found.as_json(),
    }


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
