"""Figures in words: why an item stands where it stands, and how old it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harken.domain.feeds import FeedRanking
from harken.domain.slates import Contribution
from harken.services.feed.learned_ranking import PARTS_IN_WORDS

NOTABLE = 0.005
"""Below that, a contribution is no more than 0.00, and is not put in words."""
BAR_WIDTH = 200.0
"""The width of the longest bar, in the units of its drawing."""

# What each signal and each part of the personal order goes by: a name, and the end of a sentence.
MEANINGS: Mapping[str, tuple[str, str]] = {
    "attention": ("Attention", "what readers did with it"),
    "principles": ("Principles", "how well it goes with your principles"),
    "recency": ("Recency", "how new it is"),
    "coherence": ("Coherence", "how little of it is lost by restructuring"),
    "popularity": ("Popularity", "how often it was viewed and engaged with"),
    "trending": ("Trending", "what is going on with it lately"),
    "decayed_attention": ("Attention lately", "what readers did with it lately"),
    "recent_activity": ("Recent activity", "how many readers read it lately"),
    "freshness": ("Freshness", "how new it is"),
    "user_similarity": ("Similar readers", "how much its readers like what you like"),
    "co_engagement": ("Co-engagement", "whether its readers read what you read last"),
    "passed_over": ("Passed over", "how often you chose something else while it was there"),
    "tags": ("Tags", "how much you like its tags"),
    "authors": ("Author", "how much you like its author"),
    "layers": ("Layer", "how much you like its layer"),
    "dismissed_similarity": ("Similar to dismissed", "whether its readers read what you dismissed"),
    "already_seen": ("Already seen", "whether you did something with it before"),
}

_UNITS = (
    ("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400),
    ("hour", 3_600), ("minute", 60),
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A signal with the bar that shows its contribution, from `start`, `width` wide."""

    name: str
    meaning: str
    value: float
    weight: float
    contribution: float
    start: float
    width: float


@dataclass(frozen=True)
class Why:
    """Why an item stands where it stands: sentences, and a bar for each signal."""

    sentences: list[str]
    bars: list[Bar]
    zero: float  # where bars begin


def why(
    explanation: Mapping[str, Contribution],
    score: float,
    ranking: FeedRanking,
    *,
    by_model: bool = False,
) -> Why:
    """Explain a score, which a model gave or the ranking's own signals."""
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
    if ranking.is_personal and not by_model:
        sentences.append(
            "Most parts are logarithms, so scores are mostly negative: less negative is better."
        )
    return Why(sentences, bars, round(-least * scale, 1))


def meaning(name: str) -> tuple[str, str]:
    """Return a signal's name for people, and what it goes by."""
    label = name.capitalize().replace("_", " ")
    return MEANINGS.get(name) or (label, PARTS_IN_WORDS.get(name, f"its {name}"))


def _sentences(parts: Mapping[str, float], score: float, ranking: FeedRanking) -> list[str]:
    if ranking.is_chronological:
        return ["The newest come first. Nothing else counts in this order."]
    order = sorted(parts, key=lambda name: -abs(parts[name]))
    helps = [_said(name, parts) for name in order if parts[name] >= NOTABLE]
    hurts = [_said(name, parts) for name in order if parts[name] <= -NOTABLE]
    sentences = []
    if helps:
        sentences.append(f"For it: {listed(helps)}.")
    if hurts:
        sentences.append(f"Against it: {listed(hurts)}.")
    if not sentences:
        sentences.append("Nothing speaks for it or against it yet, so its time decides.")
    sentences.append(f"Together that makes a score of {figure(score, 3)}.")
    return sentences


def _said(name: str, parts: Mapping[str, float]) -> str:
    return f"{meaning(name)[1]} ({figure(parts[name], sign='+')})"


def figure(number: float, digits: int = 2, sign: str = "") -> str:
    """Write a number to some decimals; with `sign` of "+", also where it is positive."""
    rounded = round(number, digits) + 0.0  # no number is minus nothing
    return f"{rounded:{sign},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def listed(parts: list[str]) -> str:
    """Write parts as a list in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def age(at: datetime, now: datetime) -> str:
    """Say how long ago something was, in the largest unit of which one has passed."""
    seconds = (now - at).total_seconds()
    for unit, length in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            said = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{said} ago" if seconds > 0 else f"in {said}"
    return "just now"
