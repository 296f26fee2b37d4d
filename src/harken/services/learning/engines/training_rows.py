"""The training rows of a log: choices, their candidates, and the features of each, as relations.

`RELATIONAL` names the features. They have the definitions of `features.names`; a test compares them
with the walk that the server uses. docs/training.md says why the others are none of these.
"""

from collections.abc import Callable
from typing import NamedTuple

import narwhals as nw

from harken.services.features.names import DECAYED, EVER, NAMES
from harken.services.learning.engines import history_features as of_history
from harken.services.learning.engines import item_features as of_items
from harken.services.learning.engines.choices import KEY, ChoiceRange, candidates_of, choices_of
from harken.services.learning.engines.log_relations import Frame, relations_of
from harken.services.readers.affinities import AffinitySettings

_COMPARED = (
    "age", "freshness", "age_deviation", "age_deviation_signed", "new_since_last_visit",
    "distance_from_last_age", "passed_over", "passed_over_this_visit", "passed_over_last_day",
    "first_reader_audience", "same_first_reader_share",
)  # fmt: skip
_ALL = {
    *DECAYED, *EVER, "time_since_view", "time_since_engage", *of_items.READER_FEATURES,
    *of_history.REQUEST_FEATURES, *_COMPARED,
}  # fmt: skip
RELATIONAL = tuple(name for name in NAMES if name in _ALL)
"""The features that are relations, in the order of `NAMES`."""

COLUMNS = (*KEY, "asked_at", "grade", "is_chosen", "last_touch")
"""What a training row has besides its features."""

Keep = Callable[[Frame], Frame]
"""Computes a relation once, where several others are made from it."""


class LogInputs(NamedTuple):
    """The events of a log, and the times of creation of K-Blocks; see `log_relations`."""

    events: Frame
    created: Frame


def training_rows(
    inputs: LogInputs, extent: ChoiceRange, settings: AffinitySettings, keep: Keep
) -> Frame:
    """Return a row for each candidate: `COLUMNS` and `RELATIONAL`."""
    log = relations_of(inputs.events, inputs.created, settings.touches)
    log = log._replace(events=keep(log.events), reads=keep(log.reads), kblocks=keep(log.kblocks))
    choices = keep(choices_of(log, extent))
    candidates = keep(
        candidates_of(log, choices, extent).join(
            log.kblocks.select("kblock", "appeared", "first_reader"), on="kblock"
        )
    )
    history = keep(of_history.histories(log, choices, settings.touches))
    requests = keep(
        of_history.request_features(choices, history, of_history.visits(choices, history))
    )
    candidates = keep(
        candidates.join(requests, on="request").with_columns(
            # What has a date in the future is as if it were new.
            appeared=nw.min_horizontal("appeared", "now")
        )
    )
    joined = candidates.join(of_items.event_features(log, candidates), on=[*KEY])
    readers = of_items.reader_features(
        log, candidates, settings.recent_readers, settings.activity_scale
    )
    joined = joined.join(readers, on=[*KEY], how="left")
    joined = joined.join(of_history.passed_over(candidates, history, requests), on=[*KEY])
    pair = ["request", "first_reader"]
    joined = joined.join(of_history.audiences(log, candidates), on=pair)
    joined = joined.join(of_history.shared_first_readers(history), on=pair, how="left")
    found = of_history.compared(of_items.finished(joined), settings.min_interactions)
    return found.select(*COLUMNS, *RELATIONAL)
