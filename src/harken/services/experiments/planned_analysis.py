"""The analysis that a definition plans: from observations to metrics, and to results."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.allocation import next_allocation
from harken.services.experiments.analysis.interleaving import CreditedActs
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.plan import (
    AnalysisPlan,
    GuardrailPlan,
    MetricPlan,
    Readers,
    closed_windows,
)
from harken.services.experiments.analysis.report import Results
from harken.services.experiments.analysis.results import analyse, analyse_interleaving
from harken.services.experiments.definitions import (
    Definition,
    Experiment,
    Kind,
    unreadable_allocation,
)
from harken.services.experiments.metrics import METRICS, RETURN_DAYS, Metric
from harken.services.experiments.observations import Floats, Observations


class ExperimentResults(NamedTuple):
    """The results of a version of an experiment, and the observations that they are from."""

    experiment: Experiment
    observations: Observations
    results: Results

    def as_json(self) -> dict[str, Any]:
        """Return the results as JSON values, and how events joined."""
        experiment, found = self.experiment, self.observations
        return {
            "id": experiment.id,
            "version": experiment.version,
            "state": experiment.state.value,
            "kind": experiment.definition.kind.value,
            "metric": experiment.definition.measured_by.name,
            "joined": dict(found.joined),
            "testers": found.testers,
            "allocations": []
            if experiment.allocations is None
            else experiment.allocations.as_json(),
            **self.results.as_json(),
        }


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
    readers = readers_of(experiment, plan, found)
    names = [plan.primary.name, *(each.name for each in plan.guardrails)]
    names += [each.name for each in plan.others]
    values = {name: metric_values(METRICS[name], found) for name in names}
    return analyse(plan, readers, values, at, stopped)


def readers_of(experiment: Experiment, plan: AnalysisPlan, found: Observations) -> Readers:
    """Return the units of an A/B test, each with the propensities of the arms at its exposure."""
    places = {name: place for place, name in enumerate(plan.arms)}
    return Readers(
        np.array([places[arm] for arm in found.arms], np.intp),
        found.exposed_at,
        propensities(experiment, plan.arms, found.allocations),
        found.is_quarantined,
        ~found.is_personalized,
    )


def propensities(
    experiment: Experiment, arms: Sequence[str], versions: Sequence[int | None]
) -> Floats:
    """Return the propensities of arms: one row, or for an adaptive allocation a row per unit.

    `versions` are those of the allocation at each unit's first exposure. Raises InvalidInput if one
    is not kept any more: without its propensities nothing can be concluded.
    """
    known = experiment.allocations
    if experiment.lacks_allocation:
        raise InvalidInput(unreadable_allocation(experiment))
    if known is None:
        return np.array([experiment.shares[name] for name in arms], np.float64)
    rows = {each.version: [each.shares[name] for name in arms] for each in known.versions}
    if missing := set(versions) - rows.keys():
        named = ", ".join(sorted(map(str, missing)))
        problem = f"{experiment.name} lacks the versions {named} of its allocation"
        raise InvalidInput(Problem("id", problem))
    return np.array([rows[each] for each in versions if each is not None], np.float64).reshape(
        -1, len(arms)
    )


def next_shares(
    experiment: Experiment, found: Observations, now: datetime
) -> tuple[dict[str, float], int] | None:
    """Return the next shares of an adaptive allocation, and how many readers they are from.

    These readers are not in quarantine and have closed windows. None if the shares stay as they
    are. The draws follow from the experiment and the version, so that they can be repeated.
    """
    known = experiment.allocations
    if known is None:
        return None
    plan, metric = plan_of(experiment.definition), experiment.definition.measured_by
    readers = readers_of(experiment, plan, found)
    closed = closed_windows(found.exposed_at, now.timestamp(), plan.window_days)
    counted = closed & ~found.is_quarantined
    shares = next_allocation(
        readers.of(counted),
        metric_values(metric, found).of(counted),
        _seed(experiment, known.latest.version + 1),
        higher_is_better=metric.is_better_high,
    )
    if shares is None:
        return None
    by_arm = dict(zip(plan.arms, shares.tolist(), strict=True))
    ordered = {name: by_arm[name] for name in experiment.shares}
    return None if ordered == known.latest.shares else (ordered, int(counted.sum()))


def _seed(experiment: Experiment, version: int) -> int:
    named = f"{experiment.id}:{experiment.version}:{version}"
    return int.from_bytes(sha256(named.encode()).digest()[:8], "big")


def metric_values(metric: Metric, found: Observations) -> MetricValues:
    """Return what a metric counted for each unit, with a covariate if one can be computed."""
    denominator = None if metric.denominator is None else found.within[metric.denominator]
    return MetricValues(found.within[metric.numerator], denominator, _covariate(metric, found))


def _covariate(metric: Metric, found: Observations) -> Floats | None:
    """Return each unit's rate of the same acts before the exposure; NaN without earlier events.

    Any number from before the exposure may be a covariate. The rate is per view, since the log is
    kept and slates are not. One view is added to the denominator, so that few views say little. For
    the metric of readers who return, the covariate is log(1 + views). None if no unit was there.
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
