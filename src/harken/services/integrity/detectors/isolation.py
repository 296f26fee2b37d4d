"""An isolation forest over features of readers: who is unlike everybody else.

Unusual is not false: heavy readers are unusual too. So the forest hardly ever raises an alert. Its
scores serve to order readers of whom the other detectors say little. The tail of the scores is
fitted as exponential, to the largest 2 % of readers with three events or more; with fewer than
1,000 of these there are no alerts, since such a tail is known too badly. Liu, Ting and Zhou,
Isolation Forest, ICDM 2008. Needs scikit-learn (extra `detect`).
"""

from dataclasses import dataclass

import numpy as np

from harken.errors import MissingExtra
from harken.services.integrity.detectors.event_log import EventLog, Floats
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import tail_surprise
from harken.services.integrity.detectors.measures.reader_features import (
    LEAST_EVENTS,
    NAMES,
    reader_features,
)
from harken.services.integrity.detectors.measures.touches import reader_spans

TREES = 100
LEAST_READERS, LEAST_FOR_ALERTS = 50, 1_000
STEEPNESS = 20.0
"""exp(steepness · score) has a Pareto tail where the score has an exponential one."""


@dataclass(frozen=True)
class Isolation:
    """Finds readers whose features are rare in combination."""

    name: str = "isolation"
    accuses: bool = True

    def find(self, case: Case) -> Finding:
        """Return an alert for each such reader. Raises MissingExtra without scikit-learn."""
        try:
            from sklearn.ensemble import IsolationForest  # noqa: PLC0415 — an optional dependency
        except ModuleNotFoundError:
            raise MissingExtra("The isolation forest", "detect") from None
        log, size = case.log, len(case.log.reader_ids)
        surprise = np.zeros(size)
        events = np.bincount(log.readers, minlength=size)
        judged = np.flatnonzero((events >= LEAST_EVENTS) & (np.arange(size) != log.guest))
        if len(judged) < LEAST_READERS:
            return Finding([], surprise)
        features = reader_features(log, case.touches)[judged]
        forest = IsolationForest(n_estimators=TREES, random_state=case.settings.seed)
        scores: Floats = -forest.fit(features).score_samples(features)
        scaled = np.exp(STEEPNESS * (scores - scores.max()))
        surprise[judged] = tail_surprise(scaled, scaled)
        last = reader_spans(log)[1]
        chosen = judged[
            (len(judged) >= LEAST_FOR_ALERTS)
            & (surprise[judged] > case.least_strength)
            & (last[judged] >= case.since)
        ]
        middle = np.median(features, axis=0)
        spread = np.median(np.abs(features - middle), axis=0) + 1e-9
        rows = {int(each): (features[row] - middle) / spread for row, each in enumerate(judged)}
        return Finding(
            [self._alert(log, int(each), rows[int(each)], surprise[each]) for each in chosen],
            surprise,
        )

    def _alert(self, log: EventLog, reader: int, distances: Floats, surprise: float) -> Alert:
        own, name = log.at[log.readers == reader], log.reader_ids[reader]
        furthest = np.argsort(-np.abs(distances))[:3]
        figures: dict[str, float | int | str] = {
            NAMES[each]: round(float(distances[each]), 2) for each in furthest
        }
        words = (
            "Unlike all other readers, most of all in "
            f"{', '.join(NAMES[each].replace('_', ' ') for each in furthest)} (distances from the "
            "median, in median absolute deviations)."
        )
        figures["log10_p"] = round(-float(surprise), 2)
        return Alert(
            self.name, Kind.READER, name, (name,), float(surprise),
            int(own[0]), int(own[-1]), Evidence(words, figures),
        )  # fmt: skip
