"""Calibration: whether outcomes are as frequent as a head says.

ece         expected calibration error: the mean distance between the mean prediction and the
            share of outcomes, over ten bins of equally many cases (Naeini, Cooper and
            Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, 2015)
by_chance   what this error would be at most in 95 of 100 such samples if every prediction were
            right (consistency resampling: Bröcker and Smith, Increasing the reliability of
            reliability diagrams, 2007)
log_loss    the mean negative logarithm of the probability of what happened, and the same of a
            head that always says the training data's share
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.learning.impressions import Event
from harken.services.learning.objectives.heads import Head, probabilities
from harken.services.learning.objectives.outcomes import UNKNOWN, YES, Case, outcomes

Floats = NDArray[np.float64]

BINS = 10
DRAWS = 1_000
LEAST = 50
"""With fewer cases nothing is measured."""
_LEAST_PROBABILITY = 1e-12


class Bin(NamedTuple):
    """A bin of the reliability diagram."""

    predicted: float
    observed: float
    cases: int


@dataclass(frozen=True)
class Calibration:
    """The calibration of a head on cases that it was not trained on."""

    cases: int
    share: float
    ece: float
    by_chance: float
    log_loss: float
    log_loss_of_share: float
    bins: tuple[Bin, ...]

    @property
    def is_calibrated(self) -> bool:
        """Whether the error is no larger than chance alone would explain."""
        return self.ece <= self.by_chance

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        found = {name: _rounded(value) for name, value in asdict(self).items() if name != "bins"}
        bins = [{name: _rounded(value) for name, value in each._asdict().items()}
                for each in self.bins]  # fmt: skip
        return found | {"is_calibrated": self.is_calibrated, "bins": bins}


def calibrations(
    heads: Mapping[str, Head], cases: Sequence[Case], events: Sequence[Event], until: int
) -> dict[str, dict[str, Any]]:
    """Return the calibration of each head on cases that it did not see, as JSON values.

    `events` are those of the log before `until`, which say what followed. A head with too few cases
    has a `problem` in place of figures.
    """
    rows = np.stack([case.row for case in cases]) if cases else np.zeros((0, 0))
    labels = outcomes(cases, events, until)
    found: dict[str, dict[str, Any]] = {}
    for name, head in heads.items():
        known = labels[name] != UNKNOWN
        count = int(known.sum())
        measured = None
        if count:
            predicted = probabilities(head.log_odds(rows[known]))
            measured = calibration(predicted, labels[name][known] == YES, head.share)
        if measured is None:
            why = f"too few to measure by: {count} are known, and {LEAST} are needed"
            found[name] = {"trained_on": head.cases, "problem": why}
        else:
            found[name] = {"trained_on": head.cases} | measured.as_json()
    return found


def calibration(
    predicted: Floats, happened: NDArray[np.bool_], usual: float, seed: int = 0
) -> Calibration | None:
    """Measure predictions (probabilities) by what happened; None with fewer than `LEAST` cases.

    `usual` is the share of outcomes in the training data.
    """
    count = len(predicted)
    if count < LEAST:
        return None
    order = np.argsort(predicted, kind="stable")
    groups = np.array_split(order, BINS)
    sizes = np.array([len(group) for group in groups])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sorted_predicted = predicted[order]
    means = np.add.reduceat(sorted_predicted, starts) / sizes

    def error(outcome: NDArray[Any]) -> float:
        observed = np.add.reduceat(outcome, starts) / sizes
        return float(np.abs(observed - means) @ sizes / count)

    happened_sorted = happened[order].astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn = np.array([error((rng.random(count) < sorted_predicted) * 1.0) for _ in range(DRAWS)])
    observed = np.add.reduceat(happened_sorted, starts) / sizes
    bins = zip(means.tolist(), observed.tolist(), sizes.tolist(), strict=True)
    return Calibration(
        cases=count,
        share=float(happened.mean()),
        ece=error(happened_sorted),
        by_chance=float(np.quantile(drawn, 0.95)),
        log_loss=_log_loss(predicted, happened),
        log_loss_of_share=_log_loss(np.full(count, usual), happened),
        bins=tuple(Bin(*each) for each in bins),
    )


def _log_loss(predicted: Floats, happened: NDArray[np.bool_]) -> float:
    of_what_happened = np.where(happened, predicted, 1 - predicted)
    return float(-np.log(np.maximum(of_what_happened, _LEAST_PROBABILITY)).mean())


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 6)
