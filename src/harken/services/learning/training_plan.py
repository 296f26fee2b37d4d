"""What of a log is learned from, and what is measured: found in a first pass, without features.

Features take milliseconds for each choice, and a log may have millions. So it is decided first
which choices are the last ones before the cut, and which of those after it are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import GUEST
from harken.services.learning.impressions import INTEREST, WARM_UP, Event, Window
from harken.services.learning.point_in_time import DESCRIBED, Description, Slate


@dataclass(frozen=True)
class TrainingLog:
    """A log in the order of time, and what else is known: slates, and what K-Blocks are."""

    events: Sequence[Event]
    slates: Sequence[Slate] = ()
    descriptions: Mapping[str, Description] = field(default_factory=lambda: DESCRIBED)


class Bounds(NamedTuple):
    """From when on choices are learned from, when that ends and measuring begins (microseconds).

    The last `most` choices are learned from; of the impressions from the cut on, at most `measured`
    are drawn with `seed`. There are none in the first `warm_up` of the log.
    """

    since: int
    cut: int
    most: int
    measured: int
    seed: int
    warm_up: timedelta = WARM_UP


class Plan(NamedTuple):
    """Which slates (in the order of time) and events are learned from, and which are measured.

    Events are given by their numbers in the log; those that are learned from with their own number
    among all impressions. `is_impression` has a flag for each event. `measurable` is how many
    impressions there are to measure by.
    """

    slates: list[Slate]
    learned: dict[int, int]
    measured: set[int]
    measurable: int
    is_impression: NDArray[np.bool_]

    @property
    def examples(self) -> int:
        """How many choices there are to learn from."""
        return len(self.slates) + len(self.learned)


def plan(log: TrainingLog, bounds: Bounds) -> Plan:
    """Say what of a log is learned from, and what is measured; its events are in order."""
    slates = with_outcomes(log, bounds.since, bounds.cut)
    is_impression = impressions_of(log.events, bounds.warm_up)
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
    return Plan(
        [by_time[number] for _, is_event, number in kept if not is_event],
        {number: ordinals[number] for _, is_event, number in kept if is_event},
        set(drawn(later, bounds.measured, bounds.seed)),
        len(later),
        is_impression,
    )


def impressions_of(events: Sequence[Event], warm_up: timedelta) -> NDArray[np.bool_]:
    """Tell which events of a log, in the order of time, are impressions."""
    window, found = Window(warm_up), np.zeros(len(events), np.bool_)
    for number, event in enumerate(events):
        found[number] = window.is_impression(event)
        window.see(event, counted=False)
    return found


def drawn(numbers: Sequence[int], most: int, seed: int) -> list[int]:
    """Draw at most so many of some numbers, all alike."""
    if len(numbers) <= most:
        return list(numbers)
    found: list[int] = np.random.default_rng(seed).choice(numbers, most, replace=False).tolist()
    return found


def with_outcomes(log: TrainingLog, since: int, until: int) -> dict[str, Slate]:
    """Return the slates from a time on that something was turned to, as far as known at a time.

    The others teach nothing: LambdaRank learns from pairs of which one is better. A slate was shown
    before anything was done with it. Where a client's clock says otherwise, its time is that of the
    first such event, so that nothing of what it led to was known.
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
    """Tell whether an event is what its reader did with what one of some slates showed them."""
    slate = None if event.request_id is None else slates.get(event.request_id)
    return (
        slate is not None
        and slate.user_id == event.touch.user_id
        and event.touch.kblock_id in slate.kblock_ids
    )
