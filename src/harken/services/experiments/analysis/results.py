"""The analysis of an experiment: from readers and their values to results with a verdict."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.effects import (
    Effect,
    compare,
    fixed_interval,
    fixed_p,
    mean_effect,
)
from harken.services.experiments.analysis.guardrails import Guardrail, guardrail
from harken.services.experiments.analysis.interleaving import CreditedActs, credit
from harken.services.experiments.analysis.moments import (
    Bools,
    Floats,
    Ints,
    MetricValues,
    Moments,
    moments,
)
from harken.services.experiments.analysis.plan import (
    DAY,
    FEWEST_READERS,
    LATE_DAYS,
    AnalysisPlan,
    GuardrailPlan,
    MetricPlan,
    Readers,
    closed_windows,
)
from harken.services.experiments.analysis.report import (
    ArmReport,
    Comparison,
    Counts,
    Look,
    Results,
)
from harken.services.experiments.analysis.sample_ratio import (
    SampleRatio,
    quarantine_ratio,
    sample_ratio,
)
from harken.services.experiments.analysis.sequences import always_valid_p, radius, sequence
from harken.services.experiments.analysis.verdict import Evidence, Verdict, verdict

MOST_LOOKS = 60
RECENT_DAYS = 7.0


class _Sample(NamedTuple):
    """The exposed readers in order of exposure, and the values of all metrics."""

    plan: AnalysisPlan
    readers: Readers
    values: Mapping[str, MetricValues]

    def of(self, kept: Bools | Ints) -> "_Sample":
        values = {name: each.of(kept) for name, each in self.values.items()}
        return _Sample(self.plan, self.readers.of(kept), values)

    def flags(self, name: str) -> Bools:
        return self.readers.flags(name)


class _Coming(NamedTuple):
    """How readers come in: times of first exposure, ascending, and which windows are closed."""

    exposed_at: Floats
    closed: Bools
    now: float
    stopped_at: float | None

    @property
    def per_day(self) -> float:
        """First exposures per day, in the last days or since the start if that is later."""
        if self.stopped_at is not None or not len(self.exposed_at):
            return 0.0
        days = min(RECENT_DAYS, max((self.now - float(self.exposed_at[0])) / DAY, 1.0))
        return float((self.exposed_at > self.now - days * DAY).sum()) / days

    @property
    def is_over(self) -> bool:
        """Whether the experiment was stopped and the last window is closed."""
        if self.stopped_at is None:
            return False
        return bool(self.closed[self.exposed_at <= self.stopped_at].all())


def analyse(
    plan: AnalysisPlan,
    readers: Readers,
    values: Mapping[str, MetricValues],
    now: float,
    stopped_at: float | None = None,
) -> Results:
    """Return the results of an A/B test as of `now` (seconds since the epoch, as `stopped_at`).

    `values` has each metric of the plan by its name, for all `readers` (those whose window is open
    are left out here). The sample ratio is of all exposed readers. Effects are of readers who are
    not in quarantine, by the arm that they were assigned. Raises InvalidInput if arrays do not fit.
    """
    exposed = _in_order(plan, readers, values)
    closed = closed_windows(exposed.readers.exposed_at, now, plan.window_days, stopped_at)
    ratio = sample_ratio(exposed.readers.arms, exposed.readers.propensities)
    of_quarantine = quarantine_ratio(
        exposed.readers.arms, exposed.readers.propensities, exposed.flags("quarantined")
    )
    everyone = exposed.of(closed)
    trusted = everyone.of(~everyone.flags("quarantined"))
    off = trusted.of(trusted.flags("personalisation_off"))
    comparisons = [_comparison(trusted, *each) for each in _asked(plan)]
    primary = [each for each in comparisons if each.role == "primary"]
    guards = _guardrails(plan, comparisons)
    alarms = _alarms(plan, ratio, of_quarantine)
    coming = _Coming(exposed.readers.exposed_at, closed, now, stopped_at)
    return Results(
        plan=plan,
        as_of=now,
        counts=_counts(exposed, closed),
        arms=_arm_reports(trusted, exposed.readers),
        sample_ratio=ratio,
        quarantine=of_quarantine,
        comparisons=comparisons,
        guardrails=guards,
        with_quarantined=_again(everyone, primary) if exposed.flags("quarantined").any() else [],
        personalisation_off=_again(off, primary) if len(off.readers) else [],
        verdicts={each.arm: _verdict(plan, each, guards, alarms, coming) for each in primary},
    )


def analyse_interleaving(
    plan: AnalysisPlan,
    acts: CreditedActs,
    exposed_at: Floats,
    now: float,
    stopped_at: float | None = None,
    quarantined: Bools | None = None,
) -> Results:
    """Return the results of an interleaving: the mean credit of readers, from −1 to 1.

    Arrays have one value per reader, `plan.arms` are control and the other side. Readers without
    credited acts are left out and counted. There are no arms of readers, so no sample ratio.
    """
    name, arm = plan.primary.name, plan.arms[1]
    shared = np.ones(1), np.zeros(len(exposed_at), np.intp)
    readers = Readers(shared[1], exposed_at, shared[0], quarantined)
    exposed = _Sample(plan, readers, {name: MetricValues(credit(acts))})
    exposed = exposed.of(np.argsort(exposed_at, kind="stable"))
    at = exposed.readers.exposed_at
    closed = closed_windows(at, now, plan.window_days, stopped_at)
    credited = np.isfinite(exposed.values[name].numerator)
    is_trusted = ~exposed.flags("quarantined")
    found = _comparison(exposed.of(closed & credited & is_trusted), arm, plan.primary, "primary")
    coming = _Coming(at[credited], closed[credited], now, stopped_at)
    everyone = exposed.of(closed & credited)
    without = int((closed & is_trusted & ~credited).sum())
    return Results(
        plan=plan,
        as_of=now,
        counts=_counts(exposed, closed)._replace(without_acts=without),
        arms=[],
        sample_ratio=None,
        quarantine=None,
        comparisons=[found],
        guardrails=[],
        with_quarantined=[] if is_trusted.all() else _again(everyone, [found]),
        personalisation_off=[],
        verdicts={arm: _verdict(plan, found, [], [], coming, shared=True)},
    )


def _in_order(plan: AnalysisPlan, readers: Readers, values: Mapping[str, MetricValues]) -> _Sample:
    """Check what was given, and return it in order of exposure."""
    if readers.propensities.shape[-1] != len(plan.arms):
        raise InvalidInput(Problem("propensities", f"need {len(plan.arms)} arms"))
    metrics = [
        plan.primary.name,
        *(each.name for each in plan.guardrails),
        *(each.name for each in plan.others),
    ]
    if missing := [name for name in metrics if name not in values]:
        raise InvalidInput(Problem("values", f"lack the metrics {', '.join(missing)}"))
    checked = {name: values[name].checked(name, len(readers)) for name in dict.fromkeys(metrics)}
    order = np.argsort(readers.exposed_at, kind="stable")
    return _Sample(plan, readers, checked).of(order)


def _asked(plan: AnalysisPlan) -> Iterator[tuple[str, MetricPlan, str]]:
    """Return all comparisons (arm, metric, role), the primary ones first."""
    guarded = [MetricPlan(each.name, each.higher_is_better) for each in plan.guardrails]
    roles: dict[str, Sequence[MetricPlan]] = {
        "primary": [plan.primary], "guardrail": guarded, "other": plan.others,
    }  # fmt: skip
    for role, metrics in roles.items():
        for metric, arm in product(metrics, plan.arms[1:]):
            yield arm, metric, role


def _comparison(sample: _Sample, arm: str, metric: MetricPlan, role: str) -> Comparison:
    """Compare an arm with control by a metric, at some looks until now."""
    plan = sample.plan
    values = sample.values[metric.name]
    groups = _groups(sample, arm, values)
    if not groups:
        return Comparison.unknown(arm, plan.arms[0], metric, role)
    looks, moments_of = groups
    effects = compare(*moments_of) if len(moments_of) == 2 else mean_effect(moments_of[0])
    last = Effect(*(each[-1] for each in effects)).numbers()
    alpha = plan.alpha_of_an_arm
    planned = plan.planned_readers * (1.0 if len(moments_of) == 1 else plan.share(arm))
    halves = radius(effects.readers, effects.error, alpha, planned)
    until = sample.readers.exposed_at[looks - 1] + (plan.window_days + LATE_DAYS) * DAY
    return Comparison(
        arm=arm,
        control=plan.arms[0],
        metric=metric,
        role=role,
        effect=last,
        planned=planned,
        sequence=sequence(last.effect, last.readers, last.error, alpha, planned),
        fixed=fixed_interval(last, alpha),
        always_valid_p=float(always_valid_p(last.effect, last.readers, last.error, alpha, planned)),
        fixed_p=fixed_p(last),
        unadjusted_error=_unadjusted(moments_of, values),
        looks=[
            Look(*map(float, look))
            for look in zip(until, effects.readers, effects.effect, halves, strict=True)
            if math.isfinite(look[-1])
        ],
    )


def _groups(sample: _Sample, arm: str, values: MetricValues) -> tuple[Ints, list[Moments]] | None:
    """Return the looks, and the moments of control and the arm, or of all if they share pages.

    None if there are too few readers, or if nothing of a ratio's denominator was counted.
    """
    arms = sample.readers.arms
    wanted = [0] if sample.readers.is_shared else [0, sample.plan.index(arm)]
    if min(int((arms == each).sum()) for each in wanted) < FEWEST_READERS:
        return None
    enough = [int(np.searchsorted(np.cumsum(arms == each), FEWEST_READERS)) + 1 for each in wanted]
    first = max(*enough, *(_first_counted(values, arms == each) for each in wanted))
    if first > len(arms):
        return None
    looks = np.unique(np.linspace(first, len(arms), MOST_LOOKS).astype(np.intp))
    weights = sample.readers.weights
    return looks, [moments(values, arms == each, looks, weights) for each in wanted]


def _first_counted(values: MetricValues, chosen: Bools) -> int:
    """Return after how many readers a ratio is defined: when its denominator is above 0."""
    if values.denominator is None:
        return 0
    counted = np.flatnonzero(chosen & (values.denominator > 0))
    return int(counted[0]) + 1 if len(counted) else len(chosen) + 1


def _unadjusted(groups: Sequence[Moments], values: MetricValues) -> float | None:
    """Return the standard error without the covariate; None if there is none."""
    if values.covariate is None or len(groups) < 2:
        return None
    return float(compare(groups[0], groups[1], adjust=False).error[-1])


def _again(sample: _Sample, primary: Sequence[Comparison]) -> Sequence[Comparison]:
    """Return the primary comparisons on other readers."""
    return [_comparison(sample, each.arm, each.metric, each.role) for each in primary]


def _guardrails(plan: AnalysisPlan, comparisons: Sequence[Comparison]) -> list[Guardrail]:
    plans: dict[str, GuardrailPlan] = {each.name: each for each in plan.guardrails}
    return [
        guardrail(
            plans[each.metric.name], each.arm, each.effect, plan.alpha_of_a_guardrail, each.planned
        )
        for each in comparisons
        if each.role == "guardrail"
    ]


def _alarms(plan: AnalysisPlan, ratio: SampleRatio, of_quarantine: SampleRatio) -> list[str]:
    said = {
        "The readers of the arms are not in the planned shares": ratio,
        "The share of readers in quarantine differs by arm": of_quarantine,
    }
    return [
        f"{text} ({_by_arm(plan, found.counts)})." for text, found in said.items() if found.fired
    ]


def _verdict(
    plan: AnalysisPlan, found: Comparison, guards: Sequence[Guardrail], alarms: Sequence[str],
    coming: _Coming, *, shared: bool = False,
) -> Verdict:  # fmt: skip
    readers, share = int(found.effect.readers), 1.0 if shared else plan.share(found.arm)
    planned = plan.planned_readers * share
    return verdict(
        Evidence(
            arm=found.arm,
            control=found.control,
            metric=found.metric.name,
            higher_is_better=found.metric.higher_is_better,
            effect=found.effect.effect,
            control_value=found.effect.control,
            error=found.effect.error,
            bounds=found.sequence,
            readers=readers,
            planned=planned,
            alpha=plan.alpha_of_an_arm,
            readers_per_day=coming.per_day * share,
            is_complete=readers >= planned or coming.is_over,
            negligible=plan.negligible,
            guardrails=[each for each in guards if each.arm == found.arm],
            alarms=alarms,
        )
    )


def _by_arm(plan: AnalysisPlan, counts: Sequence[int]) -> str:
    return ", ".join(f"{name}: {each}" for name, each in zip(plan.arms, counts, strict=True))


def _counts(sample: _Sample, closed: Bools) -> Counts:
    return Counts(
        exposed=len(sample.readers),
        closed=int(closed.sum()),
        quarantined=int(sample.flags("quarantined").sum()),
        personalisation_off=int(sample.flags("personalisation_off").sum()),
    )


def _arm_reports(compared: _Sample, exposed: Readers) -> list[ArmReport]:
    arms = len(compared.plan.arms)
    shares = exposed.propensities
    if shares.ndim == 2:  # each reader has their own
        shares = shares.mean(axis=0) if len(exposed) else np.array(compared.plan.shares)
    counts, of_compared = (
        np.bincount(each.arms, minlength=arms) for each in (exposed, compared.readers)
    )
    return [
        ArmReport(name, int(counts[i]), int(of_compared[i]), float(shares[i]))
        for i, name in enumerate(compared.plan.arms)
    ]
