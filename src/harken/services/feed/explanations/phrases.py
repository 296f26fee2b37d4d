"""The sentence of each part of a score: what it says of an item beside its other candidates.

A phrase takes the facts of an item and the comparison of the part's value. It returns a sentence,
and the figures that it names. Each word follows from these: "newer than most others" means that
the item's age is below the median of the candidates.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from harken.errors import several
from harken.services.feed.explanations.comparing import Comparison
from harken.services.feed.explanations.facts import WINDOWS, Affinity, Facts, counted
from harken.services.personal.interests import listed, shown_name

_UNITS = (
    ("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400),
    ("hour", 3_600), ("minute", 60),
)  # fmt: skip
_MOST_LABELS = 3


class Phrase(NamedTuple):
    """A sentence, and the figures that it names."""

    text: str
    figures: Mapping[str, float] = {}


# Time


def span(seconds: float) -> str:
    """Return a span of time in its largest whole unit, such as `2 days`."""
    for unit, length in _UNITS:
        count = int(seconds // length)
        if count:
            return several(count, unit)
    return "less than a minute"


def people(count: int, *, at_least: bool = False) -> str:
    """Return a number of people: `1 person`, `3 people`."""
    counted_people = "1 person" if count == 1 else f"{count} people"
    return f"at least {counted_people}" if at_least else counted_people


def _age(facts: Facts, found: Comparison) -> Phrase:
    how = "Newer" if found.sign > 0 else "Older"
    return Phrase(f"{how} than {found.than}: {span(facts.age)} old.", {"age_seconds": facts.age})


# All readers


def _attention(_facts: Facts, found: Comparison) -> Phrase:
    how = "more" if found.sign > 0 else "less"
    return Phrase(f"Readers engage with it {how} than with {found.than}.")


def _popularity(_facts: Facts, found: Comparison) -> Phrase:
    count = int(found.value)
    times = f" {count:,} times" if count > 1 else " once" if count else ""
    done = f"Viewed or engaged with{times}" if count else "Never viewed or engaged with"
    how = "more" if found.sign > 0 else "less"
    return Phrase(f"{done}, {how} often than {found.than}.")


def _trending(_facts: Facts, found: Comparison) -> Phrase:
    how = "more" if found.sign > 0 else "less"
    return Phrase(f"Readers have done {how} with it lately than with {found.than}.")


def _activity(facts: Facts, found: Comparison) -> Phrase:
    how = "more" if found.sign > 0 else "less"
    text = f"Lately read {how} than {found.than}"
    read = counted(facts.readers)
    figures = {"people": read.people, "window_seconds": read.window}
    when = WINDOWS[read.window]
    if read.people:
        who = people(read.people, at_least=facts.is_full and read.people == len(facts.readers))
        return Phrase(f"{text}: by {who} {when}.", figures)
    if found.sign > 0:
        return Phrase(f"{text}.")
    is_by_guest = facts.guest is not None and facts.guest <= read.window
    who = "nobody with a name" if is_by_guest else "nobody else"
    return Phrase(f"{text}: by {who} {when}.", figures)


# Readers with the same taste


def _similar_readers(facts: Facts, found: Comparison) -> Phrase:
    alike = counted(facts.similar)
    figures = {"people": alike.people, "window_seconds": alike.window}
    if found.sign > 0:
        if alike.people:
            who = people(alike.people)
            return Phrase(f"{who} with your taste read it {WINDOWS[alike.window]}.", figures)
        if not facts.readers:
            return Phrase("Nobody has read it yet, so nothing speaks against it there.")
        return Phrase(f"Its readers have more in common with you than those of {found.than}.")
    if not facts.readers:
        return Phrase("Nobody with your taste has read it yet.")
    return Phrase(f"Its readers have less in common with you than those of {found.than}.")


def _read_together(facts: Facts, found: Comparison) -> Phrase:
    named = "your latest note" if facts.latest is None else f"your latest, “{facts.latest}”"
    comma = "" if facts.latest is None else ","
    if found.sign > 0 and facts.common:
        who = people(facts.common)
        return Phrase(f"{who} who read {named}{comma} read this too.", {"people": facts.common})
    how = "closer to" if found.sign > 0 else "further from"
    return Phrase(f"By who reads it, it is {how} {named}{comma} than {found.than}.")


def _like_dismissed(_facts: Facts, found: Comparison) -> Phrase:
    how = "further from" if found.sign > 0 else "closer to"
    return Phrase(f"By who reads it, it is {how} what you dismissed than {found.than}.")


# What you did


def _passed_over(facts: Facts, found: Comparison) -> Phrase:
    figures = {"passed": facts.passed}
    if found.sign > 0 and not facts.passed:
        return Phrase("You have read no other note since it appeared.", figures)
    notes, how = several(facts.passed, "other note"), "more" if found.sign > 0 else "fewer"
    text = f"Since it appeared, you have read {notes}; for {found.than} it was {how}."
    return Phrase(text, figures)


def _seen(_facts: Facts, found: Comparison) -> Phrase:
    if found.value < 0:
        return Phrase("You came to it before.")
    return Phrase("You have not come to it yet; to most others you have.")


def _text(facts: Facts, found: Comparison) -> Phrase:
    if found.sign > 0 and facts.close_to is not None:
        named = "a note of the same title" if facts.is_namesake else f"“{facts.close_to}”"
        return Phrase(f"Its text is close to that of {named}, which you liked.")
    how = "closer to" if found.sign > 0 else "further from"
    return Phrase(f"Its text is {how} what you like than that of {found.than}.")


def _stated(facts: Facts, found: Comparison) -> Phrase:
    sides = {
        1: [in_words(each.kind, each.name) for each in facts.stated if each.value > 0],
        -1: [in_words(each.kind, each.name) for each in facts.stated if each.value < 0],
        0: [in_words(each.kind, each.name) for each in facts.stated if each.value == 0],
    }
    if named := sides[found.sign][:_MOST_LABELS]:
        how = "more" if found.sign > 0 else "less"
        return Phrase(f"You asked for {how} like this: {listed(named)}.")
    if removed := sides[0][:_MOST_LABELS]:
        return Phrase(f"You took this out of your interests: {listed(removed)}.")
    how = "more" if found.sign > 0 else "less"
    return Phrase(f"By the interests that you set, it counts {how}.")


# Labels

ONE = {
    "tags": "the tag", "authors": "the author", "principles": "the principle",
    "layers": "the layer", "folders": "the folder", "sources": "the source",
}  # fmt: skip
"""A label of each kind, in words."""


def in_words(kind: str, name: str | int) -> str:
    """Return a label with its kind, such as `the tag birds`."""
    return f"{ONE[kind]} {shown_name(kind, name)}"


WITHOUT = {
    "tag": "has no tag", "author": "names no author", "principle": "follows no principle",
    "layer": "is on no layer", "folder": "is in no folder", "source": "has no source",
}  # fmt: skip
"""What is said of a K-Block without a label of a kind."""


_WITH = {
    "tag": "with", "author": "by", "principle": "that follow", "layer": "on", "folder": "in",
    "source": "from",
}  # fmt: skip
"""How notes and a label of a kind are connected: notes `with` a tag."""


def _of_label(kind: str) -> Callable[[Facts, Comparison], Phrase]:
    noun = ONE[kind].removeprefix("the ")

    def phrase(facts: Facts, found: Comparison) -> Phrase:
        labels = facts.labels.get(kind, ())
        tell = _liked if found.sign > 0 else _not_liked
        return Phrase(tell(noun, labels, found), {"affinity": found.value})

    return phrase


def _liked(noun: str, labels: Sequence[Affinity], found: Comparison) -> str:
    if found.value > 0:
        return f"You like {_named(noun, labels, 1)}."
    if found.value < 0:
        return f"You dislike {_named(noun, labels, -1)} less than the {noun}s of {found.than}."
    dismissed = f"you dismissed notes {_WITH[noun]} the {noun}s of {found.than}"
    if not labels:
        return f"It {WITHOUT[noun]}; {dismissed}."
    spared = [each for each in labels if each.value >= 0]
    return f"Y{dismissed[1:]}, which you did not do for {_named(noun, spared, 0)}."


def _not_liked(noun: str, labels: Sequence[Affinity], found: Comparison) -> str:
    if found.value < 0:
        return f"You dismissed notes {_WITH[noun]} {_named(noun, labels, -1)}."
    if found.value > 0:
        return f"You like {_named(noun, labels, 1)}, though less than the {noun}s of {found.than}."
    if not labels:
        return f"It {WITHOUT[noun]}; you like the {noun}s of {found.than}."
    if unknown := [each for each in labels if not each.value]:
        return f"You have shown no interest in {_named(noun, unknown, 0)} yet."
    liked, disliked = _named(noun, labels, 1), _named(noun, labels, -1)
    return f"You like {liked}, and dismissed notes {_WITH[noun]} {disliked}."


def _named(noun: str, labels: Sequence[Affinity], sign: int) -> str:
    """Return the labels that the reader likes (1), dismissed (-1), or all (0), in words."""
    chosen = [each for each in labels if not sign or each.value * sign > 0]
    strongest = sorted(chosen, key=lambda each: -abs(each.value))[:_MOST_LABELS]
    if not strongest:
        return f"its {noun}s"
    plural = noun if len(strongest) == 1 else f"{noun}s"
    names = [shown_name(f"{noun}s", each.name) for each in strongest]
    return f"its {plural} {listed(names)}"


# The K-Block itself


def _principles(facts: Facts, found: Comparison) -> Phrase:
    matched = round(found.value * facts.principles)
    how = "more" if found.sign > 0 else "fewer"
    declared = several(facts.principles, "principle")
    figures = {"matched": matched, "declared": facts.principles}
    return Phrase(f"It follows {matched} of your {declared}, {how} than {found.than}.", figures)


def _coherence(facts: Facts, found: Comparison) -> Phrase:
    how = "less" if found.sign > 0 else "more"
    if facts.loss is None:
        assumed = "Its loss is unknown, so half is assumed"
        return Phrase(f"{assumed}, which is {how} than that of {found.than}.")
    return Phrase(
        f"It loses {how} when it is restructured than {found.than}: a loss of {facts.loss:.2f}.",
        {"loss": facts.loss},
    )


def _score(_facts: Facts, found: Comparison) -> Phrase:
    how = "above" if found.sign > 0 else "below"
    return Phrase(f"The rule of this feed puts it {how} {found.than}.")


def _personal_score(_facts: Facts, found: Comparison) -> Phrase:
    how = "above" if found.sign > 0 else "below"
    return Phrase(f"Your personal order would put it {how} {found.than}.")


PHRASES: Mapping[str, Callable[[Facts, Comparison], Phrase]] = {
    "attention": _attention,
    "principles": _principles,
    "recency": _age,
    "coherence": _coherence,
    "popularity": _popularity,
    "trending": _trending,
    "score": _score,
    "recent_activity": _activity,
    "freshness": _age,
    "user_similarity": _similar_readers,
    "co_engagement": _read_together,
    "passed_over": _passed_over,
    "tags": _of_label("tags"),
    "authors": _of_label("authors"),
    "followed_principles": _of_label("principles"),
    "layers": _of_label("layers"),
    "folders": _of_label("folders"),
    "sources": _of_label("sources"),
    "text": _text,
    "dismissed_similarity": _like_dismissed,
    "already_seen": _seen,
    "stated_interests": _stated,
    "personal_score": _personal_score,
}
"""The phrase of each signal and of each part of the personal score.

`principles` is a signal; the part of the personal score with this name is `followed_principles`.
"""

OF_FAMILIES: Mapping[str, str] = {
    "recency_and_activity": "its age and how much it is read lately",
    "user_similarity": "who reads it, and what they have in common with you",
    "item_to_item": "how it goes with what you read before",
    "reader_habits": "how well it fits what you usually choose",
    "request_context": "the time, and how much you read lately",
    "item_attributes": "its labels and its words",
    "ranks": "its rank among the others, by age for example",
}


def of_family(family: str, *, raised: bool) -> Phrase:
    """Return the sentence of a family of features of a model.

    It may go against a sentence about one of these features, which tells another part of the score.
    """
    how = "higher" if raised else "lower"
    return Phrase(f"The model itself puts it {how} for {OF_FAMILIES[family]}.")


_OUTCOMES: Mapping[str, str] = {
    "engage": "that you engage with it once you open it",
    "dwell": "that you stay with it for 30 seconds or more",
    "dismiss": "that you dismiss it",
    "return": "that you come back within a day of it",
}


def of_outcome(name: str, probability: float) -> Phrase:
    """Return the sentence of a probability that a model gives an outcome."""
    share = f"{probability:.0%}" if 0.01 <= probability <= 0.99 else f"{probability:.1%}"
    text = f"The model gives it a chance of {share} {_OUTCOMES[name]}."
    return Phrase(text, {"probability": probability})


def of_chance(propensity: float) -> Phrase:
    """Return the sentence of an item that was drawn for its place with a probability."""
    share = f"{propensity:.0%}" if propensity >= 0.01 else f"{propensity:.2%}"
    return Phrase(f"Chance has a part in this order: {share} for this note here.",
                  {"probability": propensity})  # fmt: skip


def of_coin() -> Phrase:
    """Return the sentence of an item whose place a coin decided."""
    return Phrase("A coin decided whether it or its neighbour comes first.")


NEWEST_FIRST = Phrase("The newest notes come first. Nothing else counts in this order.")
EQUAL = Phrase("It is like most others in all that counts here.")
