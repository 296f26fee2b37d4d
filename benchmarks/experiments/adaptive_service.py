"""A/A tests with adaptive allocation, by the code that serves pages and analyses experiments.

Readers are assigned by their hash (`assignment`), keep the arm and the propensity of their first
exposure (`adaptive.versions`), and return on later days. Each day the next version is computed from
closed windows (`outcome.next_shares`) and is in force a minute later. After the last window the
results are made (`outcome.results_of`), with a look after every part of the readers. Only the
database is left out: exposures are kept in a dictionary, by the same rule.

    600 readers a day, for 10 days; windows of a day. A reader's acts are Poisson; the mean of a
    reader is gamma distributed around that of the day of their first page, which falls from 1.5 to
    .5 and has a factor of its own (lognormal, standard deviation .3).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from benchmarks.experiments.lines import Line, Parts, share
from harken.services.experiments.adaptive.versions import (
    ANNOUNCED,
    Allocation,
    Allocations,
    Assigned,
    assigned_by,
)
from harken.services.experiments.analysis.report import Results
from harken.services.experiments.definitions import Experiment, State, define
from harken.services.experiments.observations import COUNTS, Floats, Observations
from harken.services.experiments.planned_analysis import next_shares, results_of

RUNS, PIECE, DAILY, DAYS, SEED = 2_000, 50, 600, 10, 20_270
ALPHA = 0.05
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RETURNS = 0.1
"""The share of earlier readers who come again on a day."""


class Run(NamedTuple):
    """One experiment: its results, its versions, and how many readers came to another arm."""

    results: Results
    versions: tuple[Allocation, ...]
    moved: int


class Claims(NamedTuple):
    """What one run claimed: a difference, a wrong sample ratio; and the largest distance from .5.

    `moved` readers came to another arm later.
    """

    differs: bool
    fires: bool
    moved: int
    span: float


def _runs(first: int) -> list[Claims]:
    return [_claims(run) for run in range(first, first + PIECE)]


def _claims(run: int) -> Claims:
    found = simulate(np.random.default_rng([SEED, run]), f"aa:{run}")
    ratio = found.results.sample_ratio
    span = max(abs(each.shares["b"] - 0.5) for each in found.versions)
    differs = excludes_zero(found.results)
    return Claims(differs, ratio is not None and ratio.fired, found.moved, span)


def _lines(found: Sequence[list[Claims]]) -> list[Line]:
    """Return how often the service claims a difference, or a wrong sample ratio, where is none."""
    claims = [each for piece in found for each in piece]
    claimed, fired, moved = (
        sum(getattr(each, name) for each in claims) for name in ("differs", "fires", "moved")
    )
    what = "A/A, adaptive, through the service's code"
    return [
        Line(f"{what}: sequence excludes 0 at any look", share(claimed, RUNS), "≤ 5 %",
             claimed <= ALPHA * RUNS),
        Line(f"{what}: sample ratio fires", share(fired, RUNS), "≤ 1 %", fired <= 0.01 * RUNS),
        Line(f"{what}: readers who came to another arm later", str(moved), "0", moved == 0),
        Line(f"{what}: largest distance of a share from .5, mean",
             f"{np.mean([each.span for each in claims]):.2f}"),
    ]  # fmt: skip


ADAPTIVE_SERVICE = Parts(_runs, range(0, RUNS, PIECE), _lines)


def excludes_zero(results: Results) -> bool:
    """Return whether the primary sequence excludes 0 at any look."""
    looks = results.comparisons[0].looks
    return any(abs(each.effect) > each.half for each in looks)


def simulate(chance: np.random.Generator, salt: str, daily: int = DAILY, days: int = DAYS) -> Run:
    """Return one experiment without a difference between its arms."""
    definition = define(
        {"id": "aa", "arms": [{"name": "a"}, {"name": "b"}], "metric": "engagements_per_slate",
         "adaptive": True, "window_days": 1, "planned_size": daily * days, "salt": salt}
    )  # fmt: skip
    first = Allocation(1, definition.shares, START, START, "the definition", 0)
    known = Allocations((first,))
    drift = np.linspace(1.5, 0.5, days) * np.exp(0.3 * chance.standard_normal(days))
    exposed: dict[str, Assigned] = {}
    at, engaged, moved = [], [], 0
    for day in range(days):
        begin = START + day * DAY
        before = list(exposed)
        for place in np.flatnonzero(chance.random(len(before)) < RETURNS).tolist():
            name = before[place]
            moved += _served(known, salt, name, begin + DAY / 2, exposed) != exposed[name].arm
        for n in range(daily):
            name, now = f"{day} {n}", begin + DAY * (0.01 + 0.98 * n / daily)
            arm = _served(known, salt, name, now, exposed)
            moved += arm != exposed[name].arm
            at.append(now.timestamp())
        engaged.append(chance.poisson(drift[day] * chance.gamma(1.0, 1.0, daily)))
        experiment = Experiment(definition, 1, State.RUNNING, START, START, allocations=known)
        now = begin + DAY
        following = next_shares(experiment, _observed(exposed, at, engaged), now)
        if following is not None:
            number = known.latest.version + 1
            version = Allocation(number, following[0], now + ANNOUNCED, now, "", following[1])
            known = Allocations((*known.versions, version))
    experiment = Experiment(definition, 1, State.RUNNING, START, START, allocations=known)
    end = START + (days + 3) * DAY
    return Run(results_of(experiment, _observed(exposed, at, engaged), end), known.versions, moved)


def _served(
    known: Allocations, salt: str, name: str, now: datetime, exposed: dict[str, Assigned]
) -> str:
    """Return the arm of a page, as the service finds it; the first one is the exposure."""
    own = assigned_by(known.at(now), salt, name)
    if known.common_arm(salt, name) is None:
        own = exposed.get(name, own)
    exposed.setdefault(name, own)
    return own.arm


def _observed(exposed: dict[str, Assigned], at: list[float], engaged: list[Floats]) -> Observations:
    count = len(exposed)
    within = {name: np.zeros(count) for name in COUNTS}
    within["slates"] = np.ones(count)
    within["engagements"] = np.concatenate(engaged).astype(np.float64)
    nobody = np.zeros(count, np.bool_)
    return Observations(
        user_ids=list(exposed),
        arms=[each.arm for each in exposed.values()],
        allocations=[each.allocation for each in exposed.values()],
        exposed_at=np.array(at),
        is_personalized=~nobody,
        is_quarantined=nobody,
        within=within,
        before={name: np.zeros(count) for name in COUNTS},
        was_there=nobody,
        joined={},
        credits={},
        testers=0,
    )
