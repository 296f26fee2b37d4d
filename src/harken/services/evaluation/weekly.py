"""Weekly engagement: counts, and ratios with intervals.

A reader's events are not independent, so readers are resampled, each with all their weeks: see
`harken.services.evaluation.intervals`. All weeks share the draws, so differences of two weeks are
paired.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from harken.domain.weeks import ReaderWeek
from harken.services.evaluation.intervals import MOST_DRAWN, Floats, bootstrap, interval

FEWEST_READERS = 10
"""With fewer readers no interval is computed."""

_VIEWS, _ENGAGEMENTS, _DISMISSALS, _, _TIMED, _DWELL = range(6)
_DRAWN = (_VIEWS, _ENGAGEMENTS, _DISMISSALS)

K = TypeVar("K")

Key = tuple[int, str | None]
"""A week, and the ranking whose slates led to the events; None if unknown."""


class Ratio(NamedTuple):
    """A ratio and its 95 % interval; None without views, or with too few readers."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return it as JSON values, rounded to six digits."""
        return {name: _rounded(each) for name, each in self._asdict().items()}


@dataclass(frozen=True)
class WeekCounts:
    """The counts and ratios of a week. Dwell times are in seconds; contradictions are not counted.

    `readers` is the number of named readers, `guest_visits` the number of visits of guests.
    """

    views: int
    engagements: int
    dismissals: int
    readers: int
    guest_visits: int
    avg_dwell_time_sec: float | None
    engagement_per_view: Ratio
    dismissals_per_view: Ratio

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values of a report."""
        return dict(self.__dict__) | {
            "avg_dwell_time_sec": _rounded(self.avg_dwell_time_sec),
            "engagement_per_view": self.engagement_per_view.as_json(),
            "dismissals_per_view": self.dismissals_per_view.as_json(),
        }


class Change(NamedTuple):
    """Engagements per view in two periods: the difference, and its interval if there is one."""

    now: float
    then: float
    difference: float
    low: float | None
    high: float | None


class _Sums:
    """Sums by group of readers, the number of readers, and the resampled means."""

    def __init__(self, groups: int = 0) -> None:
        self.by_group = np.zeros((groups, 6))
        self.drawn = np.zeros((0, len(_DRAWN)))
        self.readers = 0
        self.guest_visits = 0

    def count(self, row: ReaderWeek) -> None:
        """Count the reader or guest visit of a row."""
        self.readers += row.visit is None
        self.guest_visits += row.visit is not None

    @property
    def is_enough(self) -> bool:
        """Whether there are enough readers for an interval."""
        return self.readers + self.guest_visits >= FEWEST_READERS

    @property
    def total(self) -> Floats:
        """The sums over all readers (shape: 6)."""
        total: Floats = self.by_group.sum(axis=0)
        return total

    def counted(self) -> WeekCounts:
        """Return the counts and ratios."""
        total = self.total
        views, engagements, dismissals = (int(total[each]) for each in _DRAWN)
        dwell = float(total[_DWELL] / total[_TIMED] / 1000) if total[_TIMED] else None
        return WeekCounts(
            views, engagements, dismissals, self.readers, self.guest_visits, dwell,
            self._ratio(_ENGAGEMENTS), self._ratio(_DISMISSALS),
        )  # fmt: skip

    def _ratio(self, top: int) -> Ratio:
        bounds = _bounds(_per_view(self.drawn, top)) if self.is_enough else (None, None)
        return Ratio(_value(self.total, top), *bounds)


class Tally:
    """Adds up what readers did; rows of one reader must follow each other, in the order of weeks.

    Above 2,000 readers, each further one is added to one of 2,000 groups at random, since sums of
    groups have the variance of sums of readers. So memory does not grow with the readers.
    """

    def __init__(self, groups: int = MOST_DRAWN, seed: int = 0) -> None:
        self._groups = groups
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 — not for security
        self._weeks: dict[int, _Sums] = {}
        self._rankings: dict[Key, _Sums] = {}
        self._reader: tuple[str, str | None] | None = None
        self._week = -1
        self._readers = 0
        self._group = 0

    def add(self, row: ReaderWeek) -> None:
        """Add what a reader did in a week on the slates of one ranking."""
        week = _at(self._weeks, row.week, self._groups)
        ranking = _at(self._rankings, (row.week, row.ranking), self._groups)
        is_new = (row.user_id, row.visit) != self._reader
        if is_new:
            self._begin(row)
        if is_new or row.week != self._week:
            week.count(row)
            self._week = row.week
        ranking.count(row)
        for sums in (week, ranking):
            sums.by_group[self._group] += row[4:]

    def _begin(self, row: ReaderWeek) -> None:
        self._reader = row.user_id, row.visit
        is_crowd = self._readers >= self._groups
        self._group = self._random.randrange(self._groups) if is_crowd else self._readers
        self._readers += 1

    def drawn(self) -> "Weekly":
        """Resample readers, once for all weeks and rankings."""
        every = [*self._weeks.values(), *self._rankings.values()]
        groups = min(self._readers, self._groups)
        if groups:
            columns = [sums.by_group[:groups, _DRAWN] for sums in every]
            means = bootstrap(np.concatenate(columns, axis=1), np.ones(groups), seed=self._seed)
            for sums, drawn in zip(every, np.split(means, len(every), axis=1), strict=True):
                sums.drawn = drawn
        return Weekly(self._weeks, self._rankings)


class Weekly:
    """Weekly counts with resampled means."""

    def __init__(self, weeks: dict[int, _Sums], rankings: dict[Key, _Sums]) -> None:
        self._weeks = weeks
        self._rankings = rankings

    def week(self, number: int) -> WeekCounts:
        """Return the counts of a week."""
        return self._weeks.get(number, _Sums()).counted()

    def rankings(self, number: int) -> dict[str | None, WeekCounts]:
        """Return the counts of a week by ranking; None, for an unknown ranking, is last."""
        found = {name: sums for (week, name), sums in self._rankings.items() if week == number}
        names = sorted(found, key=lambda name: (name is None, name or ""))
        return {name: found[name].counted() for name in names}

    def change(self, now: int, then: Sequence[int]) -> Change | None:
        """Compare the engagements per view of a week with those of other weeks together.

        Returns None if one side has no views.
        """
        sides = [[self._weeks.get(each, _Sums()) for each in side] for side in ([now], then)]
        after, before = (_value(sum(each.total for each in side), _ENGAGEMENTS) for side in sides)
        if after is None or before is None:
            return None
        bounds: Bounds = None, None
        if all(any(each.is_enough for each in side) for side in sides):
            drawn = [sum(each.drawn for each in side if len(each.drawn)) for side in sides]
            a, b = (_per_view(each, _ENGAGEMENTS) for each in drawn)
            bounds = _bounds(a - b)
        return Change(after, before, after - before, *bounds)


Bounds = tuple[float, float] | tuple[None, None]


def _at(kept: dict[K, _Sums], key: K, groups: int) -> _Sums:
    if key not in kept:
        kept[key] = _Sums(groups)
    return kept[key]


def _value(total: Any, top: int) -> float | None:
    return float(total[top] / total[_VIEWS]) if total[_VIEWS] else None


def _per_view(drawn: Any, top: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = drawn[:, top] / drawn[:, _VIEWS]
    return ratios


def _bounds(drawn: Floats) -> Bounds:
    """Return an interval; (None, None) if over 1 % of the draws have no views."""
    finite = np.isfinite(drawn)
    return interval(drawn[finite]) if finite.sum() >= 0.99 * len(drawn) > 0 else (None, None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
