"""The verdict on the question whether the feed is getting better, and the data behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from harken.domain.weeks import SLACK, WEEK, week_name
from harken.services.evaluation.models_in_service import LEARNED, PeriodMetrics
from harken.services.evaluation.weekly import FEWEST_READERS, Change, Weekly

FEWEST_WEEKS = 2
MOST_BEFORE = 4
"""The most weeks with which the last full one is compared."""

Outcome = Literal["better", "worse", "not_known"]


@dataclass(frozen=True)
class Week:
    """A week of a report, from Monday; partial if the log begins or ends within it."""

    number: int
    begin: datetime
    is_partial: bool

    @property
    def name(self) -> str:
        """The week's name by ISO 8601, as 2026-W07."""
        return week_name(self.begin)


@dataclass(frozen=True)
class WeekComparison:
    """The last full week, compared with earlier weeks taken together."""

    week: Week
    than: Sequence[Week]
    change: Change

    @property
    def verdict(self) -> Outcome:
        """Better or worse if the whole interval lies above 0, or below; else not known."""
        if self.change.low is not None and self.change.low > 0:
            return "better"
        if self.change.high is not None and self.change.high < 0:
            return "worse"
        return "not_known"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values of a report."""
        numbers = {
            name: None if each is None else round(each, 6)
            for name, each in self.change._asdict().items()
        }
        weeks = {"week": self.week.name, "than": [each.name for each in self.than]}
        return weeks | numbers


@dataclass(frozen=True)
class Verdict:
    """The outcome and its text; the first comparison decided it."""

    verdict: Outcome
    text: str
    compared: Sequence[WeekComparison]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values of a report."""
        return {
            "verdict": self.verdict,
            "text": self.text,
            "compared": [each.as_json() for each in self.compared],
        }


def weekly_verdict(
    weeks: Sequence[Week],
    weekly: Weekly,
    measured: Sequence[PeriodMetrics],
    begun: datetime | None = None,
) -> Verdict:
    """Compare the last full week with up to four weeks before it, and with the first full week.

    The first comparison decides. Weeks without views are left out. `begun` is the begin of a log
    that continues and has no other weeks: if there are too few weeks, the text says from which day
    on there will be a verdict.
    """
    full = [week for week in weeks if not week.is_partial and weekly.week(week.number).views]
    if len(full) < FEWEST_WEEKS:
        text = "Not known: a comparison needs two full weeks with views."
        if begun is not None:
            text += _first_weeks(weeks, weekly, begun, FEWEST_WEEKS - len(full))
        return Verdict("not_known", _with_model(text, measured), [])
    *before, last = full
    recent = before[-MOST_BEFORE:]
    sides = [recent, before[:1]] if before[:1] != recent else [recent]
    changes = [weekly.change(last.number, [each.number for each in than]) for than in sides]
    compared = [
        WeekComparison(last, than, change)
        for than, change in zip(sides, changes, strict=True)
        if change is not None
    ]
    verdict = compared[0].verdict
    return Verdict(verdict, _with_model(_sentence(verdict, compared), measured), compared)


def _first_weeks(weeks: Sequence[Week], weekly: Weekly, begun: datetime, missing: int) -> str:
    """Return the counts so far, and the day on which the missing weeks will be complete."""
    counted = [weekly.week(week.number) for week in weeks]
    views, engagements = (
        sum(getattr(each, name) for each in counted) for name in ("views", "engagements")
    )
    last = weeks[-1]
    # A partial week will be full, unless the log begins within it.
    becomes_full = last.is_partial and begun <= last.begin + SLACK
    at = last.begin + (missing if becomes_full else missing + 1) * WEEK
    return (
        f" The log begins on {begun:%Y-%m-%d} and has {views} views and {engagements} engagements "
        f"so far. A verdict is possible from {at:%Y-%m-%d} on."
    )


def _sentence(verdict: Outcome, compared: Sequence[WeekComparison]) -> str:
    first, *others = compared
    change = first.change
    word = verdict.replace("_", " ").capitalize()
    text = (
        f"{word}: {change.now:.3f} engagements per view in {first.week.name}, the last full week; "
        f"{change.then:.3f} in {_weeks(first.than)}. The difference is {_difference(change)}."
    )
    if verdict != "not_known":
        text += " Other readers or other K-Blocks may be the cause: only an experiment can tell."
    elif change.low is not None:
        text += " Chance alone may explain it."
    for each in others:
        text += (
            f" Compared with {_weeks(each.than)}, the first full week here "
            f"({each.change.then:.3f}), the difference is {_difference(each.change)}."
        )
    return text


def _weeks(weeks: Sequence[Week]) -> str:
    if len(weeks) == 1:
        return weeks[0].name
    return f"the {len(weeks)} full weeks before, {weeks[0].name} to {weeks[-1].name}"


def _difference(change: Change) -> str:
    if change.low is None:
        return f"{change.difference:+.3f}; an interval needs at least {FEWEST_READERS} readers"
    return f"{change.difference:+.3f} (95 % interval {change.low:+.3f} to {change.high:+.3f})"


def _with_model(text: str, measured: Sequence[PeriodMetrics]) -> str:
    """Add how the latest model compares with the chronological ranking."""
    known = [each for each in measured if each.impressions]
    if not known:
        return text
    latest = max(known, key=lambda each: (each.period.basis == "in_service", each.period.end))
    [found] = [
        each
        for each in latest.differences
        if (each.than, each.metric) == ("chronological", "ndcg@10")
    ]
    when = (
        "while it was in service"
        if latest.period.basis == "in_service"
        else "on the held-out end of its training log"
    )
    own, other = (latest.values[name]["ndcg@10"] for name in (LEARNED, "chronological"))
    text += (
        f" The model {latest.period.model_id}, {when}: NDCG@10 {own:.3f}, chronological "
        f"{other:.3f}, difference {found.difference:+.3f}"
    )
    if found.interval is not None:
        low, high = found.interval
        text += f" ({low:+.3f} to {high:+.3f})"
    return f"{text}."
