"""Texts for people: why an item is at its position, numbers, and ages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harken.domain.feeds import FeedRanking
from harken.domain.slates import Contribution, Reference
from harken.services.feed.learned_ranking import PARTS_IN_WORDS

NOTABLE = 0.005
"""A smaller contribution would be shown as 0.00, so sentences leave it out."""
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
class Why:
    """The explanation of an item's score: sentences, and a bar for each signal."""

    sentences: list[str]
    bars: list[Bar]
    zero: float  # the position of 0, in drawing units


def why(
    explanation: Mapping[str, Contribution],
    score: float,
    ranking: FeedRanking,
    *,
    by_model: bool = False,
    close_to: Reference | None = None,
) -> Why:
    """Return the explanation of a score; `by_model` if a model made it, not the ranking.

    `close_to` is what the reader liked whose text is most similar.
    """
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
    sentences = _sentences(parts, score, ranking)
    if close_to is not None:
        sentences.insert(0, f"Close to “{close_to.title}”, which you liked.")
    if ranking.is_personal and not by_model:
        sentences.append(
            "Most parts are logarithms, so a score may be negative; a higher one is better."
        )
    return Why(sentences, bars, round(-least * scale, 1))


def meaning(name: str) -> tuple[str, str]:
    """Return the name of a signal for people, and what it measures."""
    label = name.capitalize().replace("_", " ")
    return MEANINGS.get(name) or (label, PARTS_IN_WORDS.get(name, f"its {name}"))


def _sentences(parts: Mapping[str, float], score: float, ranking: FeedRanking) -> list[str]:
    if ranking.is_chronological:
        return ["The newest notes come first. Nothing else counts in this order."]
    order = sorted(parts, key=lambda name: -abs(parts[name]))
    helps = [_phrase(name, parts) for name in order if parts[name] >= NOTABLE]
    hurts = [_phrase(name, parts) for name in order if parts[name] <= -NOTABLE]
    sentences = []
    if helps:
        sentences.append(f"Reasons for a higher position: {listed(helps)}.")
    if hurts:
        sentences.append(f"Reasons for a lower position: {listed(hurts)}.")
    if not sentences:
        sentences.append("No signal ranks it higher or lower yet, so its time decides.")
    sentences.append(f"The sum of all signals is its score: {figure(score, 3)}.")
    return sentences


def _phrase(name: str, parts: Mapping[str, float]) -> str:
    return f"{meaning(name)[1]} ({figure(parts[name], sign='+')})"


def figure(number: float, digits: int = 2, sign: str = "") -> str:
    """Return a number with some decimals; with `sign="+"`, positive numbers have a sign."""
    rounded = round(number, digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{rounded:{sign},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def listed(parts: list[str]) -> str:
    """Return parts as a list in a sentence: `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def age(at: datetime, now: datetime) -> str:
    """Return how long ago a time is, in its largest whole unit, such as `2 days ago`."""
    seconds = (now - at).total_seconds()
    for unit, length in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            span = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{span} ago" if seconds > 0 else f"in {span}"
    return "just now"
