"""The plan of a training run: which examples to train on, and which impressions to measure.

Features take milliseconds for each example, and a log may have millions. So a first pass without
features selects the latest examples before the cut, and samples the impressions after it.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.impressions import INTEREST, WARM_UP, Event, Window
from harken.services.learning.point_in_time import DESCRIBED, Description, Slate
from harken.services.learning.ranker import Model
from harken.services.readers.affinities import AffinitySettings


@dataclass(frozen=True)
class TrainingData:
    """Events in the order of time, slates, and descriptions of K-Blocks by id.

    `left_out` has the numbers of events, readers and sessions in quarantine, which are not in it.
    `affinities` are the settings that serve readers: the personal score is a feature.
    """

    events: Sequence[Event]
    slates: Sequence[Slate] = ()
    descriptions: Mapping[str, Description] = field(default_factory=lambda: DESCRIBED)
    left_out: Mapping[str, int] = field(default_factory=dict)
    affinities: AffinitySettings = field(default_factory=AffinitySettings)


class Trained(NamedTuple):
    """A model of the learned ranking, and what gives candidates to it.

    `collaborative` is None if so few K-Blocks were touched that all are candidates.
    """

    model: Model
    collaborative: Collaborative | None


class Bounds(NamedTuple):
    """The limits of training and measuring; `since` and `cut` in microseconds since 1970.

    Training uses the last `most` examples from `since` on and before `cut`. Of the impressions from
    `cut` on, at most `measured` are sampled with `seed`. The log's first `warm_up` has none.
    """

    since: int
    cut: int
    most: int
    measured: int
    seed: int
    warm_up: timedelta = WARM_UP


class Plan(NamedTuple):
    """The selected slates (in the order of time) and events.

    Events are given by their index in the log. `learned` maps the index of each event to train on
    to its ordinal among all impressions, from 1. `measured` are the indexes to measure, sampled
    from `measurable` impressions. `is_impression` has a flag for each event (shape: events).

    `dismissed` are first touches that were dismissals, of the same times and, from the cut on, in
    the same share. They are no impressions: only the objectives learn from them.
    """

    slates: list[Slate]
    learned: dict[int, int]
    measured: set[int]
    measurable: int
    is_impression: NDArray[np.bool_]
    dismissed: Set[int] = frozenset()

    @property
    def examples(self) -> int:
        """The number of examples to train on."""
        return len(self.slates) + len(self.learned)


def plan(log: TrainingData, bounds: Bounds) -> Plan:
    """Select what to train on and what to measure; events must be in the order of time."""
    slates = with_outcomes(log, bounds.since, bounds.cut)
    is_impression, is_dismissal = first_touches(log.events, bounds.warm_up)
    impressions = np.flatnonzero(is_impression).tolist()
    ordinals = {number: ordinal + 1 for ordinal, number in enumerate(impressions)}
    later = [number for number in impressions if log.events[number].touch.at >= bounds.cut]
    kept: list[tuple[int, int, int]] = [
        (at, 1, number)
        for number in impressions
        if bounds.since <= (at := log.events[number].touch.at) < bounds.cut
        and not is_outcome(log.events[number], slates)
    ]
    by_time = sorted(slates.values(), key=lambda slate: slate.at)
    kept += [(slate.at, 0, number) for number, slate in enumerate(by_time)]
    kept = sorted(kept)[-bounds.most :]
    measured = drawn(later, bounds.measured, bounds.seed)
    dismissals = np.flatnonzero(is_dismissal).tolist()
    before, after = _dismissed(log, dismissals, slates, kept, bounds)
    share = len(measured) / len(later) if later else 0.0
    return Plan(
        [by_time[number] for _, is_event, number in kept if not is_event],
        {number: ordinals[number] for _, is_event, number in kept if is_event},
        set(measured),
        len(later),
        is_impression,
        {*drawn(before, bounds.most, bounds.seed), *drawn(after, round(share * len(after)), 0)},
    )


def _dismissed(
    log: TrainingData,
    dismissals: Sequence[int],
    slates: Mapping[str, Slate],
    kept: Sequence[tuple[int, int, int]],
    bounds: Bounds,
) -> tuple[list[int], list[int]]:
    """Return the dismissals from the first example on that no slate led to: before, after the cut.

    What a slate led to is learned from the slate.
    """
    since = kept[0][0] if kept else bounds.cut
    own = [
        number
        for number in dismissals
        if log.events[number].touch.at >= since and not is_outcome(log.events[number], slates)
    ]
    before = [number for number in own if log.events[number].touch.at < bounds.cut]
    return before, own[len(before) :]


def impressions_of(events: Sequence[Event], warm_up: timedelta) -> NDArray[np.bool_]:
    """Return a flag for each event (in the order of time): whether it is an impression."""
    return first_touches(events, warm_up)[0]


def first_touches(
    events: Sequence[Event], warm_up: timedelta
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two flags for each event (in the order of time).

    They say whether it is an impression, and whether it is a dismissal that would be an impression
    if it were a view.
    """
    window, found = Window(warm_up), np.zeros((2, len(events)), np.bool_)
    for number, event in enumerate(events):
        if window.is_first_touch(event):
            found[0, number] = event.touch.action in INTEREST
            found[1, number] = event.touch.action == FeedbackAction.DISMISS
        window.observe(event, counted=False)
    return found[0], found[1]


def drawn(numbers: Sequence[int], most: int, seed: int) -> list[int]:
    """Sample at most `most` of some numbers uniformly, without replacement."""
    if len(numbers) <= most:
        return list(numbers)
    found: list[int] = np.random.default_rng(seed).choice(numbers, most, replace=False).tolist()
    return found


def with_outcomes(log: TrainingData, since: int, until: int) -> dict[str, Slate]:
    """Return the slates in a range of time of which a reader viewed or engaged with something.

    Slates without such an event teach nothing: LambdaRank learns from pairs in which one K-Block is
    better. A slate was shown before anything was done with it. Where a client's clock contradicts
    that, the slate gets the time of its first event, so that its features do not know the outcome.
    """
    shown = {
        slate.request_id: slate
        for slate in log.slates
        if slate.user_id != GUEST and len(set(slate.kblock_ids)) > 1
    }
    first: dict[str, int] = {}
    led_to: set[str] = set()
    for event in log.events if shown else ():
        if is_outcome(event, shown) and event.request_id is not None:
            first.setdefault(event.request_id, event.touch.at)
            if event.touch.action in INTEREST and event.touch.at < until:
                led_to.add(event.request_id)
    found = (shown[each]._replace(at=min(shown[each].at, first[each])) for each in led_to)
    return {slate.request_id: slate for slate in found if since <= slate.at < until}


def is_outcome(event: Event, slates: Mapping[str, Slate]) -> bool:
    """Return whether an event's reader did it with a K-Block that one of the slates showed."""
    slate = None if event.request_id is None else slates.get(event.request_id)
    return (
        slate is not None
        and slate.user_id == event.touch.user_id
        and event.touch.kblock_id in slate.kblock_ids
    )
