"""Is the feed getting better? One sentence, and what it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from harken.domain.weeks import SLACK, WEEK, week_name
from harken.services.evaluation.models_in_service import LEARNED, Measured
from harken.services.evaluation.weekly import FEWEST_READERS, Change, Weekly

FEWEST_WEEKS = 2
MOST_BEFORE = 4
"""How many weeks the last one is compared with."""

Verdict = Literal["better", "worse", "not_known"]


@dataclass(frozen=True)
class Week:
    """A week of a report, from a Monday on; a part of one where the log begins or ends in it."""

    number: int
    begin: datetime
    is_partial: bool

    @property
    def name(self) -> str:
        """Its name by ISO 8601."""
        return week_name(self.begin)


@dataclass(frozen=True)
class Compared:
    """The last full week, beside earlier ones together."""

    week: Week
    than: Sequence[Week]
    change: Change

    @property
    def verdict(self) -> Verdict:
        """Better or worse is what is so beyond chance: the interval lies above 0, or below."""
        if self.change.low is not None and self.change.low > 0:
            return "better"
        if self.change.high is not None and self.change.high < 0:
            return "worse"
        return "not_known"

    def as_json(self) -> dict[str, Any]:
        """Return it as a report has it."""
        numbers = {
            name: None if each is None else round(each, 6)
            for name, each in self.change._asdict().items()
        }
        weeks = {"week": self.week.name, "than": [each.name for each in self.than]}
        return weeks | numbers


@dataclass(frozen=True)
class Answer:
    """Better, worse or not known, in words; first what it goes by, and what else was compared."""

    verdict: Verdict
    text: str
    compared: Sequence[Compared]

    def as_json(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {
            "verdict": self.verdict,
            "text": self.text,
            "compared": [each.as_json() for each in self.compared],
        }


def answer(
    weeks: Sequence[Week],
    weekly: Weekly,
    measured: Sequence[Measured],
    begun: datetime | None = None,
) -> Answer:
    """Compare the last full week with up to four before it together, which decides; and the first.

    Weeks without views are left out. `begun` is when a log began that goes on, and that has no
    weeks but these: while they are too few, it is said from when on there can be an answer.
    """
    full = [week for week in weeks if not week.is_partial and weekly.week(week.number).views]
    if len(full) < FEWEST_WEEKS:
        text = "Not known: two full weeks with views are needed, to compare one with the other."
        if begun is not None:
            text += _young(weeks, weekly, begun, FEWEST_WEEKS - len(full))
        return Answer("not_known", _with_model(text, measured), [])
    *before, last = full
    recent = before[-MOST_BEFORE:]
    sides = [recent, before[:1]] if before[:1] != recent else [recent]
    changes = [weekly.change(last.number, [each.number for each in than]) for than in sides]
    compared = [
        Compared(last, than, change)
        for than, change in zip(sides, changes, strict=True)
        if change is not None
    ]
    verdict = compared[0].verdict
    return Answer(verdict, _with_model(_said(verdict, compared), measured), compared)


def _young(weeks: Sequence[Week], weekly: Weekly, begun: datetime, missing: int) -> str:
    """Say what there is, and when there will be as many more full weeks as are missing."""
    counted = [weekly.week(week.number) for week in weeks]
    views, engagements = (
        sum(getattr(each, name) for each in counted) for name in ("views", "engagements")
    )
    last = weeks[-1]
    # A part of a week becomes a whole one, unless the log begins in it.
    becomes_full = last.is_partial and begun <= last.begin + SLACK
    at = last.begin + (missing if becomes_full else missing + 1) * WEEK
    return (
        f" The log begins on {begun:%Y-%m-%d}, and has {views} views and {engagements} engagements "
        f"so far. If it goes on, there is an answer from {at:%Y-%m-%d} on."
    )


def _said(verdict: Verdict, compared: Sequence[Compared]) -> str:
    first, *others = compared
    change = first.change
    word = verdict.replace("_", " ").capitalize()
    text = (
        f"{word}: {change.now:.3f} engagements per view in {first.week.name}, the last full week; "
        f"{change.then:.3f} in {_named(first.than)}. The difference is {_apart(change)}."
    )
    if verdict != "not_known":
        text += " Other readers, or other K-Blocks, may be why: only an experiment tells."
    elif change.low is not None:
        text += " Chance alone may well make as much."
    for each in others:
        text += (
            f" Against {_named(each.than)}, the first full week here ({each.change.then:.3f}), "
            f"it is {_apart(each.change)}."
        )
    return text


def _named(weeks: Sequence[Week]) -> str:
    if len(weeks) == 1:
        return weeks[0].name
    return f"the {len(weeks)} full weeks before, {weeks[0].name} to {weeks[-1].name}"


def _apart(change: Change) -> str:
    if change.low is None:
        return f"{change.difference:+.3f}; with fewer than {FEWEST_READERS} readers nobody can tell"
    return f"{change.difference:+.3f} (95 % interval {change.low:+.3f} to {change.high:+.3f})"


def _with_model(text: str, measured: Sequence[Measured]) -> str:
    """Add what is known of the latest model, beside the newest-first order."""
    known = [each for each in measured if each.impressions]
    if not known:
        return text
    latest = max(known, key=lambda each: (each.span.basis == "in_service", each.span.end))
    [found] = [
        each
        for each in latest.differences
        if (each.than, each.metric) == ("chronological", "ndcg@10")
    ]
    when = (
        "while it was in service"
        if latest.span.basis == "in_service"
        else "on the end of the log, by which it was promoted"
    )
    own, other = (latest.values[name]["ndcg@10"] for name in (LEARNED, "chronological"))
    text += (
        f" The model {latest.span.model_id}, {when}: NDCG@10 {own:.3f}, and newest first "
        f"{other:.3f}; {found.difference:+.3f}"
    )
    if found.interval is not None:
        low, high = found.interval
        text += f" ({low:+.3f} to {high:+.3f})"
    return f"{text}."
