"""Facts about an item of a page, beside the figures of its score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HOUR, DAY, WEEK = 3_600, 86_400, 604_800
WINDOWS = {HOUR: "in the last hour", DAY: "in the last 24 hours", WEEK: "in the last 7 days"}
"""The windows in which people are counted, in seconds, and their words."""
ENOUGH = 3
"""A sentence names the shortest window with so many people; else the shortest with anybody."""


class Affinity(NamedTuple):
    """A label of an item, and how much the reader likes it: from -1 (dismissed) to 1."""

    name: str | int
    value: float


class StatedInterest(NamedTuple):
    """A label of an item for which the reader said how much they want: from -2 to 2."""

    kind: str
    name: str | int
    value: float


@dataclass(frozen=True)
class Facts:
    """Facts about an item; times are in seconds before the page.

    readers: when each other reader with a name read it; `is_full` if there were more than these.
    guest: when a reader without a name read it last; None if none did.
    similar: when each of the reader's similar readers read it.
    common: how many people read both it and the reader's latest K-Block, whose title is `latest`.
    passed: how many other K-Blocks the reader came to since it appeared.
    labels: by kind, its labels and the reader's affinities to them.
    principles: how many principles the reader declared. loss: its Galois loss, if it is known.
    close_to: the title of the most similar K-Block that the reader liked; `is_namesake` if it is
    the title of this item, too.
    """

    age: float = 0.0
    readers: Sequence[float] = ()
    is_full: bool = False
    guest: float | None = None
    similar: Sequence[float] = ()
    common: int = 0
    latest: str | None = None
    passed: int = 0
    labels: Mapping[str, Sequence[Affinity]] = field(default_factory=dict)
    stated: Sequence[StatedInterest] = ()
    principles: int = 0
    loss: float | None = None
    close_to: str | None = None
    is_namesake: bool = False


class Count(NamedTuple):
    """How many people there are within a window, which is in seconds."""

    people: int
    window: int


def counted(ages: Sequence[float]) -> Count:
    """Count people in the shortest window that has enough of them, else in one that has any.

    Without any, the count is 0 in the longest window.
    """
    counts = [Count(sum(age <= window for age in ages), window) for window in WINDOWS]
    for least in (ENOUGH, 1):
        for found in counts:
            if found.people >= least:
                return found
    return counts[-1]
