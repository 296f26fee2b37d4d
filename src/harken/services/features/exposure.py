"""What became of candidates while readers could have come, and how near to tastes they are."""

from typing import Any

import numpy as np

from harken.services.features.activity_clock import ActivityClock
from harken.services.features.directions import LIKED, Directions
from harken.services.features.measures import PRIOR
from harken.services.features.names import DECAYED_BY_TOUCHES
from harken.services.features.traces import DAY, HOUR, Floats, Numbers
from harken.services.readers.co_engagement import CandidateReaders
from harken.services.readers.history import HistoryColumns, ReaderHistory

RECENT = 10
"""The directions of so many of the reader's last K-Blocks are compared."""


def exposure(
    clock: ActivityClock, places: Numbers, candidate_readers: CandidateReaders, appeared: Floats,
    now: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what readers did since candidates appeared (seconds since 1970), by candidate."""
    latest = now - np.minimum(candidate_readers.since, now - appeared)
    active = clock.readers(appeared)
    count = np.bincount(candidate_readers.at, minlength=candidate_readers.kblocks)
    return {
        **dict(zip(DECAYED_BY_TOUCHES, clock.sums(places), strict=True)),
        "touches_since_appeared": np.log1p(clock.touches(appeared)),
        "active_readers_since_appeared": np.log1p(active),
        "active_readers_since_reader_1": np.log1p(clock.readers(latest)),
        "active_reader_reach": count / (active + PRIOR),
    }


def directions_of(
    directions: Directions, reader: ReaderHistory, known: HistoryColumns, places: Numbers,
    now: float,
) -> dict[str, Any]:  # fmt: skip
    """Return how near candidates are to what a reader likes, and to what they touched last."""
    last = known.places[-RECENT:]
    liked = reader.recently_liked(LIKED)
    taste, cosines = directions.cosines(places, liked, last)
    ages = np.maximum(now - known.last[-RECENT:], 0.0)
    weights = np.exp2(-ages / (2 * DAY))
    return {
        "direction_of_taste": taste,
        "direction_of_visit": cosines @ np.exp2(-ages / HOUR),
        "direction_of_last": cosines @ weights / (weights.sum() + 1e-9),
        "direction_of_nearest": cosines.max(axis=1, initial=-1.0),
    }
