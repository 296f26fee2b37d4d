"""Measures trials and holdbacks, and decides them. Pure: no database, no clock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.domain.feedback import FeedbackAction
from harken.services.experiments.analysis import promotion
from harken.services.experiments.analysis.effects import mean_effect
from harken.services.experiments.analysis.guardrails import Guardrail, guardrail
from harken.services.experiments.analysis.interleaving import CreditedActs
from harken.services.experiments.analysis.moments import Bools, Floats, MetricValues, moments
from harken.services.experiments.analysis.plan import (
    FEWEST_READERS,
    AnalysisPlan,
    GuardrailPlan,
    MetricPlan,
    Readers,
    closed_windows,
)
from harken.services.experiments.analysis.report import Results
from harken.services.experiments.analysis.results import analyse, analyse_interleaving
from harken.services.experiments.analysis.sample_ratio import SampleRatio, sample_ratio
from harken.services.experiments.definitions import Experiment
from harken.services.experiments.metrics import CREDIT, METRICS
from harken.services.experiments.promotion.reader_log import ExperimentLog, ShownPage

ENGAGE, DISMISS, CONTRADICT = (
    FeedbackAction.ENGAGE, FeedbackAction.DISMISS, FeedbackAction.CONTRADICT,
)  # fmt: skip
SECONDS = 1e-6
TRIAL_GUARDRAILS = (
    (DISMISS, GuardrailPlan("dismissals", 0.05, higher_is_better=False)),
    (CONTRADICT, GuardrailPlan("contradictions", 0.05, higher_is_better=False)),
)
"""Per page, the candidate's items may get more of these than the others, by the margin at most."""


class TrialState(NamedTuple):
    """The state of a trial; `first_places` is the sample ratio of its coins."""

    results: Results
    guardrails: Sequence[Guardrail]
    first_places: SampleRatio
    decision: promotion.Decision

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "decision": self.decision.as_json(),
            "guardrails": [each.as_json() for each in self.guardrails],
            "first_places": self.first_places.as_json(),
            "results": self.results.as_json(),
        }


class HoldbackState(NamedTuple):
    """The state of a holdback, and whether the old model comes back."""

    results: Results
    brings_back: bool
    is_alarmed: bool


def measure_trial(
    experiment: Experiment, log: ExperimentLog, now: float, alarms: Sequence[str] = ()
) -> TrialState:
    """Measure a trial as of `now` (seconds since 1970), and decide it.

    Readers in quarantine are left out; the results have the credit with them, too.
    `alarms` are sentences on why nothing may be promoted now.
    """
    given = experiment.definition
    control, candidate = (each.name for each in given.arms)
    plan = _plan(experiment, MetricPlan(CREDIT.name))
    own = _pages_of(log, given.window_days)
    counts = [
        [sum(page.count(action, arm) for page in pages) for pages in own]
        for action in (ENGAGE, DISMISS)
        for arm in (control, candidate)
    ]
    acts = CreditedActs(*(np.array(each, np.float64) for each in counts))
    exposed = np.array([each.at * SECONDS for each in log.entries])
    aside = _quarantined(log)
    results = analyse_interleaving(plan, acts, exposed, now, _stopped(experiment), aside)
    closed = closed_windows(exposed, now, plan.window_days, _stopped(experiment)) & ~aside
    counted = [pages for pages, is_over in zip(own, closed, strict=True) if is_over and pages]
    guardrails = [
        _guardrail(each, _apart(counted, action, control, candidate), candidate, plan)
        for action, each in TRIAL_GUARDRAILS
    ]
    places = first_places(log.pages, control, candidate)
    is_alarmed = places.fired or bool(alarms)
    decision = _decided(results, guardrails, given.margin, is_alarmed=is_alarmed)
    if alarms and decision.outcome == "continue":
        decision = replace(decision, text=" ".join([decision.text, *alarms]))
    return TrialState(results, guardrails, places, decision)


def _decided(
    results: Results, guardrails: Sequence[Guardrail], margin: float | None, *, is_alarmed: bool
) -> promotion.Decision:
    [found] = results.comparisons
    readers, planned = int(found.effect.readers), results.plan.planned_readers
    if readers < FEWEST_READERS:
        text = f"Not yet: {readers} readers with closed windows, of about {planned}."
        return promotion.Decision("continue", text)
    return promotion.decide(
        found.effect.effect, found.effect.error, readers, planned, guardrails, margin,
        results.plan.alpha, alarm=is_alarmed,
    )  # fmt: skip


def first_places(pages: Sequence[ShownPage], control: str, candidate: str) -> SampleRatio:
    """Test whether both sides were first equally often, page by page.

    On each first page of an interleaving a coin decides whose item comes first. If the items of one
    side were lost on the way, or its pages were not logged, the other side is first too often.
    """
    order = [
        next((own for own in page.arms if own is not None), None)
        for page in pages
        if page.position == 0
    ]
    arms = np.array([each == candidate for each in order if each in {control, candidate}], np.intp)
    return sample_ratio(arms, np.array([0.5, 0.5]))


def measure_holdback(experiment: Experiment, log: ExperimentLog, now: float) -> HoldbackState:
    """Measure a holdback as of `now` (seconds since 1970): the new model against the old one."""
    given = experiment.definition
    names = [each.name for each in given.arms]  # the old one is the control
    primary = METRICS[str(given.metric)]
    guarded = [METRICS[each.metric] for each in given.guardrails]
    plan = _plan(
        experiment,
        MetricPlan(primary.name, primary.is_better_high),
        [
            GuardrailPlan(each.metric, float(each.margin), METRICS[each.metric].is_better_high)
            for each in given.guardrails
        ],
    )
    own = _pages_of(log, given.window_days)
    slates = np.array([float(len(pages)) for pages in own])
    values = {
        each.name: MetricValues(_counts(own, _ACTIONS[each.numerator]), slates)
        for each in (primary, *guarded)
    }
    readers = Readers(
        np.array([names.index(each.arm) for each in log.entries], np.intp),
        np.array([each.at * SECONDS for each in log.entries]),
        np.array([experiment.shares[name] for name in names]),
        _quarantined(log),
    )
    results = analyse(plan, readers, values, now, _stopped(experiment))
    high = results.comparisons[0].sequence.high
    tests = results.sample_ratio, results.quarantine
    is_alarmed = any(each is not None and each.fired for each in tests)
    back = promotion.holdback_brings_back(high, results.guardrails)
    return HoldbackState(results, back and not is_alarmed, is_alarmed)


_ACTIONS = {"engagements": ENGAGE, "dismissals": DISMISS, "contradictions": CONTRADICT}


def _plan(
    experiment: Experiment, primary: MetricPlan, guardrails: Sequence[GuardrailPlan] = ()
) -> AnalysisPlan:
    given = experiment.definition
    shares = experiment.shares
    return AnalysisPlan(
        arms=[each.name for each in given.arms],
        primary=primary,
        planned_readers=given.planned_size,
        guardrails=guardrails,
        window_days=float(given.window_days),
        alpha=float(given.alpha),
        allocation=[shares[each.name] for each in given.arms],
    )


def _stopped(experiment: Experiment) -> float | None:
    return None if experiment.stopped_at is None else experiment.stopped_at.timestamp()


def _quarantined(log: ExperimentLog) -> Bools:
    return np.array([each.is_quarantined for each in log.entries], np.bool_)


def _pages_of(log: ExperimentLog, window_days: int) -> list[list[ShownPage]]:
    """Return the pages in the window of each reader, in the order of the entries."""
    window = timedelta(days=window_days) // timedelta(microseconds=1)
    pages: dict[str, list[ShownPage]] = {each.user_id: [] for each in log.entries}
    until = {each.user_id: each.at + window for each in log.entries}
    for page in log.pages:
        if page.user_id in until and page.at < until[page.user_id]:
            pages[page.user_id].append(page)
    return [pages[each.user_id] for each in log.entries]


def _counts(own: Sequence[Sequence[ShownPage]], action: FeedbackAction) -> Floats:
    return np.array([float(sum(page.count(action) for page in pages)) for pages in own])


def _apart(
    own: Sequence[Sequence[ShownPage]], action: FeedbackAction, control: str, candidate: str
) -> MetricValues:
    """Return by how many more of an action each reader's pages gave to the candidate's items."""
    apart = [
        float(sum(page.count(action, candidate) - page.count(action, control) for page in pages))
        for pages in own
    ]
    return MetricValues(np.array(apart), np.array([float(len(pages)) for pages in own]))


def _guardrail(plan: GuardrailPlan, values: MetricValues, arm: str, of: AnalysisPlan) -> Guardrail:
    count = len(values.numerator)
    if count < FEWEST_READERS:
        return Guardrail(arm, plan, "open", 0.0, None, None)
    looks = np.array([count])
    effect = mean_effect(moments(values, np.ones(count, np.bool_), looks).at(0)).numbers()
    alpha = of.alpha / len(TRIAL_GUARDRAILS)
    return guardrail(plan, arm, effect, alpha, of.planned_readers)


def experiment_alarm(name: str, arms: Sequence[int], propensities: Floats) -> str | None:
    """Return a sentence if the readers of an experiment are not in its shares; else None.

    `arms` are those of its readers, in the order of their first exposure; `propensities` have one
    row, or a row per reader where the allocation is adaptive.
    """
    if not sample_ratio(np.array(arms, np.intp), propensities).fired:
        return None
    return f"The readers of {name} are not in the planned shares."
