"""Whether readers came to the arms in the planned shares, tested at every reader.

Source: Lindon and Malek, Anytime-valid inference for multinomial count data, 2022 (arXiv
2011.03567). The evidence against the plan is a Bayes factor: counts under a Dirichlet prior around
the planned shares, over counts under the planned shares. If these are right, it reaches 1/α at any
time with a probability of at most α (Ville's inequality).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.services.experiments.analysis.moments import Bools, Floats, Ints

ALPHA = 0.01
CONCENTRATION = 1_000.0
"""The readers that the prior counts as. Its standard deviation for an arm with half of the readers
is 1.6 %: if shares are wrong, they are expected to be wrong by some percent."""


@dataclass(frozen=True)
class SampleRatio:
    """The test's result; `at_reader` is the number of readers after which it fired, or None."""

    fired: bool
    p_value: float
    at_reader: int | None
    counts: Sequence[int]
    expected: Sequence[float]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "fired": self.fired,
            "p_value": self.p_value,
            "at_reader": self.at_reader,
            "counts": list(self.counts),
            "expected": [round(each, 3) for each in self.expected],
        }


def log_evidence(arms: Ints, propensities: Floats, concentration: float = CONCENTRATION) -> Floats:
    """Return the logarithm of the evidence after each reader (… × readers), in order of exposure.

    `propensities` has the shape arms, or … × readers × arms where the allocation changed. Reader i
    is predicted from those before: arm a with a probability in proportion to
    p_i(a) · (c · p̄(a) + readers seen) / (c · p̄(a) + readers expected), p̄ being the first row. With
    one row for all, this is the Dirichlet-multinomial of Lindon and Malek. With a row per reader it
    is a likelihood ratio whose prediction knows the past only, so the bound holds as well.
    """
    count = propensities.shape[-1]
    shape = (*arms.shape, count)
    rows = np.broadcast_to(propensities, shape)
    seen = arms[..., None] == np.arange(count)
    prior = concentration * rows[..., :1, :]
    before = np.cumsum(seen, axis=-2) - seen
    expected = np.cumsum(rows, axis=-2) - rows
    predicted = rows * (prior + before) / (prior + expected)
    own = np.take_along_axis(predicted, arms[..., None], axis=-1)[..., 0]
    planned = np.take_along_axis(rows, arms[..., None], axis=-1)[..., 0]
    return np.cumsum(np.log(own / predicted.sum(axis=-1) / planned), axis=-1)


def sample_ratio(arms: Ints, propensities: Floats, alpha: float = ALPHA) -> SampleRatio:
    """Test the readers of an experiment, in order of exposure."""
    count = propensities.shape[-1]
    counts = np.bincount(arms, minlength=count)
    expected = np.broadcast_to(propensities, (len(arms), count)).sum(axis=0)
    if not len(arms):
        return SampleRatio(False, 1.0, None, counts.tolist(), expected.tolist())
    evidence = log_evidence(arms, propensities)
    # An alarm stands: chance that later evens the shares out would not undo what was lost.
    strongest = float(evidence.max())
    fired = strongest >= -math.log(alpha)
    first = int(np.argmax(evidence >= -math.log(alpha))) + 1 if fired else None
    p_value = min(1.0, math.exp(-max(strongest, 0.0)))
    return SampleRatio(fired, p_value, first, counts.tolist(), expected.tolist())


def quarantine_ratio(
    arms: Ints, propensities: Floats, quarantined: Bools, alpha: float = ALPHA
) -> SampleRatio:
    """Test whether quarantined readers are spread over the arms as all readers are."""
    rows = propensities if propensities.ndim == 1 else propensities[quarantined]
    return sample_ratio(arms[quarantined], rows, alpha)
