"""Texts for people: why an item is at its position, numbers, and ages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from harken.domain.slates import Contribution, Reason
from harken.services.feed.explanations.reasons import HELD_BACK, NOTED, RAISED
from harken.services.feed.learned_ranking import PARTS_IN_WORDS

BAR_WIDTH = 200.0
"""The width of all bars together, in units of the SVG drawing."""

# For each signal and each part of the personal score: a name, and the end of a sentence.
MEANINGS: Mapping[str, tuple[str, str]] = {
    "attention": ("Attention", "how much all readers engage with it"),
    "principles": ("Principles", "how many of your principles it follows"),
    "recency": ("Recency", "how new it is"),
    "coherence": ("Coherence", "how little is lost by restructuring it"),
    "popularity": ("Popularity", "how often it was viewed and engaged with"),
    "trending": ("Trending", "how much readers engage with it lately"),
    "decayed_attention": ("Recent attention", "how much all readers engage with it lately"),
    "recent_activity": ("Recent activity", "how many readers are active on it now"),
    "freshness": ("Freshness", "how new it is"),
    "user_similarity": ("Similar readers", "how much readers with your interests engage with it"),
    "co_engagement": ("Read together", "how many readers of your latest notes engage with it"),
    "passed_over": ("Passed over", "how often you chose another note instead of it"),
    "tags": ("Tags", "how much you like its tags"),
    "authors": ("Author", "how much you like its author"),
    "layers": ("Layer", "how much you like its layer"),
    "folders": ("Folder", "how much you like its folder"),
    "sources": ("Source", "how much you like its source"),
    "text": ("Text", "how close its text is to what you like, and not to what you dismissed"),
    "dismissed_similarity": (
        "Like dismissed notes",
        "how similar it is to notes that you dismissed",
    ),
    "already_seen": ("Already seen", "whether you have seen it before"),
    "stated_interests": ("Set by you", "the interests that you set"),
}

_UNITS = (
    ("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400),
    ("hour", 3_600), ("minute", 60),
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A signal and the bar of its contribution; `start` and `width` are in drawing units."""

    name: str
    meaning: str
    value: float
    weight: float
    contribution: float
    start: float
    width: float


@dataclass(frozen=True)
class Told:
    """A reason for an item's place: its sentence, and how much it counted.

    `share` is its share of all that set the item apart, None for a note; `width` is that of its
    bar, in drawing units.
    """

    text: str
    share: float | None
    width: float


@dataclass(frozen=True)
class Why:
    """Why an item is at its place, in sentences; and its figures, with a bar for each signal."""

    raised: list[Told]
    held_back: list[Told]
    notes: list[str]
    bars: list[Bar]
    zero: float  # the position of 0, in drawing units


def why(explanation: Mapping[str, Contribution], reasons: Sequence[Reason]) -> Why:
    """Return the explanation of a place: its reasons, and the parts of its score."""
    parts = {name: part.contribution for name, part in explanation.items()}
    least, most = min(0.0, *parts.values(), 0.0), max(0.0, *parts.values(), 0.0)
    scale = BAR_WIDTH / ((most - least) or 1.0)
    bars = [
        Bar(
            *meaning(name),
            *part,
            start=round((min(part.contribution, 0.0) - least) * scale, 1),
            width=round(abs(part.contribution) * scale, 1),
        )
        for name, part in explanation.items()
    ]
    return Why(
        [_told(each) for each in reasons if each.direction == RAISED],
        [_told(each) for each in reasons if each.direction == HELD_BACK],
        [each.text for each in reasons if each.direction == NOTED],
        bars,
        round(-least * scale, 1),
    )


def _told(reason: Reason) -> Told:
    share = reason.figures.get("share", 0.0)
    return Told(reason.text, share, round(share * BAR_WIDTH, 1))


def meaning(name: str) -> tuple[str, str]:
    """Return the name of a signal for people, and what it measures."""
    label = name.capitalize().replace("_", " ")
    return MEANINGS.get(name) or (label, PARTS_IN_WORDS.get(name, f"its {name}"))


def figure(number: float, digits: int = 2, sign: str = "") -> str:
    """Return a number with some decimals; with `sign="+"`, positive numbers have a sign."""
    rounded = round(number, digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{rounded:{sign},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def age(at: datetime, now: datetime) -> str:
    """Return how long ago a time is, in its largest whole unit, such as `2 days ago`."""
    seconds = (now - at).total_seconds()
    for unit, length in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            span = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{span} ago" if seconds > 0 else f"in {span}"
    return "just now"
