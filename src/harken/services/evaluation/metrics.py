"""Metrics of a replay with intervals, and pairwise comparisons of rankings."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from harken.services.evaluation.intervals import (
    Floats,
    Interval,
    bootstrap,
    interval,
    per_user,
    sign_flips,
)
from harken.services.evaluation.replay import SHOWN, SLICES, Outcome

METRICS = ("hr@5", "hr@10", "mrr", "ndcg@10")


@dataclass(frozen=True)
class Metrics:
    """The metrics of a ranking on some impressions; `values` and `intervals` by `METRICS`.

    Every impression has one relevant item, so the hit rate at k is also the recall at k.
    `coverage` is the share of the offered K-Blocks that the ranking showed, from 0 to 1.
    """

    impressions: int
    values: dict[str, float]
    intervals: dict[str, Interval]
    coverage: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values: dict[str, Any] = {name: round(value, 6) for name, value in self.values.items()}
        bounds = {name: [round(b, 6) for b in each] for name, each in self.intervals.items()}
        return values | {
            "coverage": round(self.coverage, 6),
            "impressions": self.impressions,
            "ci": bounds,
        }


@dataclass(frozen=True)
class Comparison:
    """The difference of `a` and `b` by one metric, on the same impressions."""

    a: str
    b: str
    metric: str
    difference: float
    interval: Interval
    p_value: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "metric": self.metric,
            "difference": round(self.difference, 6),
            "interval": [round(bound, 6) for bound in self.interval],
            "p_value": round(self.p_value, 4),
        }


@dataclass(frozen=True)
class Evaluation:
    """The metrics of each ranking by slice (None for an empty slice), and the pairs."""

    rankings: dict[str, dict[str, Metrics | None]]
    pairs: list[Comparison]
    events: int
    impressions: int
    readers: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        rankings: dict[str, Any] = {}
        for name, slices in self.rankings.items():
            found = {each: metrics and metrics.as_json() for each, metrics in slices.items()}
            rankings[name] = (found.pop("all") or {"impressions": 0}) | found
        return {
            "events": self.events,
            "impressions": self.impressions,
            "readers": self.readers,
            "rankings": rankings,
            "pairs": [pair.as_json() for pair in self.pairs],
        }


def gains(ranks: Floats) -> Floats:
    """Return the gains of some ranks (impressions × `METRICS`); ranks are from 1, ties halve.

    With one relevant item the ideal gain is 1, so NDCG@10 is 1 / log2(1 + rank) for the first ten
    ranks (Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002).
    """
    discounted = np.where(ranks <= SHOWN, 1 / np.log2(1 + ranks), 0.0)
    return np.stack([ranks <= 5, ranks <= SHOWN, 1 / ranks, discounted], axis=1)


def evaluate(outcome: Outcome, seed: int = 0) -> Evaluation:
    """Return the metrics of a replay; the same `seed` gives the same intervals."""
    of_ranking = {name: gains(ranks) for name, ranks in outcome.ranks.items()}
    rankings: dict[str, dict[str, Metrics | None]] = {name: {} for name in of_ranking}
    pairs: list[Comparison] = []
    for each in SLICES:
        kept = outcome.slices[each]
        if not kept.any():
            for slices in rankings.values():
                slices[each] = None
            continue
        _, users = np.unique(outcome.users[kept], return_inverse=True)
        sums = {name: per_user(values[kept], users) for name, values in of_ranking.items()}
        counts = per_user(np.ones(len(users)), users)
        drawn = _drawn(sums, counts, seed)
        for name in of_ranking:
            coverage = len(outcome.shown[name][each]) / len(outcome.offered[each])
            rankings[name][each] = _metrics(sums[name], counts, drawn[name], coverage)
        if each == "all":
            pairs = list(_pairs(sums, counts, drawn, seed))
    total = outcome.slices["all"]
    return Evaluation(
        rankings, pairs, outcome.events, len(total), int(outcome.users.max(initial=-1)) + 1
    )


def _drawn(sums: dict[str, Floats], counts: Floats, seed: int) -> dict[str, Floats]:
    """Resample readers once for all rankings."""
    together = bootstrap(np.concatenate(list(sums.values()), axis=1), counts, seed=seed)
    return dict(zip(sums, np.split(together, len(sums), axis=1), strict=True))


def _metrics(sums: Floats, counts: Floats, drawn: Floats, coverage: float) -> Metrics:
    impressions = int(counts.sum())
    means = (sums.sum(axis=0) / impressions).tolist()
    return Metrics(
        impressions,
        dict(zip(METRICS, means, strict=True)),
        {name: interval(drawn[:, i]) for i, name in enumerate(METRICS)},
        coverage,
    )


def _pairs(
    sums: dict[str, Floats], counts: Floats, drawn: dict[str, Floats], seed: int
) -> Iterable[Comparison]:
    for a, b in combinations(sums, 2):
        apart = sums[a] - sums[b]
        chances = sign_flips(apart, seed=seed)
        means = apart.sum(axis=0) / counts.sum()
        for i, metric in enumerate(METRICS):
            bounds = interval(drawn[a][:, i] - drawn[b][:, i])
            yield Comparison(a, b, metric, float(means[i]), bounds, float(chances[i]))
