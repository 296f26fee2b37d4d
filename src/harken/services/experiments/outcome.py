"""From observations to results: the plan of a definition, and the values of its metrics."""

from datetime import datetime
from typing import Any

import numpy as np

from harken.services.experiments.analysis.interleaving import CreditedActs
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.plan import (
    AnalysisPlan,
    GuardrailPlan,
    MetricPlan,
    Readers,
)
from harken.services.experiments.analysis.report import Results
from harken.services.experiments.analysis.results import analyse, analyse_interleaving
from harken.services.experiments.definitions import Definition, Experiment, Kind
from harken.services.experiments.metrics import METRICS, RETURN_DAYS, Metric
from harken.services.experiments.observations import Floats, Observations


def plan_of(definition: Definition) -> AnalysisPlan:
    """Return the plan of an analysis; the first of its arms is control."""
    control = definition.compared_with
    arms = [control, *(arm.name for arm in definition.arms if arm.name != control)]
    is_ab = definition.kind is Kind.AB
    primary = definition.measured_by
    guarded = [METRICS[each.metric] for each in definition.guardrails]
    named = {primary.name, *(each.name for each in guarded)}
    others = [
        each for each in METRICS.values() if each.name not in named and _is_known(definition, each)
    ]
    return AnalysisPlan(
        arms=arms,
        primary=_metric_plan(primary),
        planned_readers=definition.planned_size,
        guardrails=[
            GuardrailPlan(metric.name, each.margin, metric.is_better_high)
            for metric, each in zip(guarded, definition.guardrails, strict=True)
        ],
        others=[_metric_plan(each) for each in others] if is_ab else [],
        window_days=definition.window_days,
        alpha=definition.alpha,
        negligible=definition.negligible,
        allocation=[definition.shares[name] for name in arms],
    )


def _metric_plan(metric: Metric) -> MetricPlan:
    return MetricPlan(metric.name, metric.is_better_high)


def _is_known(definition: Definition, metric: Metric) -> bool:
    return metric.numerator != "returned" or definition.window_days >= RETURN_DAYS


def results_of(experiment: Experiment, found: Observations, now: datetime) -> Results:
    """Return the results of an experiment as of a time."""
    plan = plan_of(experiment.definition)
    at = now.timestamp()
    stopped = None if experiment.stopped_at is None else experiment.stopped_at.timestamp()
    apart = found.is_quarantined
    if experiment.definition.kind is Kind.INTERLEAVING:
        acts = _acts(plan, found)
        return analyse_interleaving(plan, acts, found.exposed_at, at, stopped, apart)
    places = {name: place for place, name in enumerate(plan.arms)}
    readers = Readers(
        np.array([places[arm] for arm in found.arms], np.intp),
        found.exposed_at,
        np.array(plan.allocation, np.float64),
        apart,
        ~found.is_personalized,
    )
    names = [plan.primary.name, *(each.name for each in plan.guardrails)]
    names += [each.name for each in plan.others]
    values = {name: metric_values(METRICS[name], found) for name in names}
    return analyse(plan, readers, values, at, stopped)


def metric_values(metric: Metric, found: Observations) -> MetricValues:
    """Return what a metric counted for each unit, with a covariate if some were there before."""
    denominator = None if metric.denominator is None else found.within[metric.denominator]
    return MetricValues(found.within[metric.numerator], denominator, _covariate(metric, found))


def _covariate(metric: Metric, found: Observations) -> Floats | None:
    """Return each unit's rate of the same acts before the exposure; NaN for who was not there.

    Any number from before the exposure is allowed. The rate is per view, since the log is kept and
    slates are not, and of one view more than there were, so that few views tell little. For who
    comes back it is the logarithm of the views.
    """
    if not found.was_there.any():
        return None
    views = found.before["views"]
    if metric.numerator == "returned":
        rate = np.log1p(views)
    else:
        base = found.before["timed"] if metric.numerator == "dwell" else views
        rate = found.before[metric.numerator] / (base + 1)
    return np.where(found.was_there, rate, np.nan)


def _acts(plan: AnalysisPlan, found: Observations) -> CreditedActs:
    first, second = plan.arms
    return CreditedActs(
        *(found.credits[what, arm] for what in ("engaged", "dismissed") for arm in (first, second))
    )


def as_json(experiment: Experiment, found: Observations, results: Results) -> dict[str, Any]:
    """Return the JSON form of results, and how events joined."""
    return {
        "id": experiment.id,
        "version": experiment.version,
        "state": experiment.state.value,
        "kind": experiment.definition.kind.value,
        "metric": experiment.definition.measured_by.name,
        "joined": dict(found.joined),
        "testers": found.testers,
        **results.as_json(),
    }
