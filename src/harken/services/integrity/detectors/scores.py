"""The scale of all scores, and one score of each reader from what all detectors say.

A score comes from a *strength*, which is −log10 of what chance alone would bring: of an alert, the
number of such alerts; of a reader, a p-value. The score is strength / (`HALF` + strength), so that
it is in [0, 1), and 0.5 for what chance brings to one of 10,000.

A detector's surprise is −log10 of a p-value, so different detectors can be compared. The largest
counts in full and the others in part, since detectors see the same events: a reader who is
moderately unusual in many ways is heavy, not false. What one detector says is bounded, so that no
single one decides the order of all.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from harken.services.integrity.detectors.event_log import EventLog, Floats

HALF = 4.0
"""The strength of a score of 0.5."""
MOST = 30.0
"""The largest surprise that counts of one detector."""
OTHERS = 0.25
"""The weight of all detectors but the one that says most."""
WEIGHTS = {"isolation": 0.25, "bursts": 0.5}
"""Unusual is less than false: what these detectors say counts for less."""


def score_of(strength: ArrayLike) -> Floats:
    """Return the scores of some strengths: in [0, 1), 0 for negative strengths."""
    positive = np.maximum(strength, 0.0)
    return np.asarray(positive / (HALF + positive), np.float64)


def reader_scores(log: EventLog, surprises: Mapping[str, Floats]) -> dict[str, float]:
    """Return a score in [0, 1] of each reader of the log, higher for more suspect; 0 for guests."""
    total = np.zeros(len(log.reader_ids))
    if surprises:
        weighted = np.array(
            [
                np.minimum(surprise, MOST) * WEIGHTS.get(name, 1.0)
                for name, surprise in surprises.items()
            ]
        )
        most = weighted.max(0)
        total = most + OTHERS * (weighted.sum(0) - most)
    scores = score_of(total)
    if log.guest >= 0:
        scores[log.guest] = 0.0
    return dict(zip(log.reader_ids, scores.tolist(), strict=True))
