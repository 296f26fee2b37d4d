"""Sentences of reasons: each is true of the page that it is about."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.features.names import FAMILIES
from harken.services.feed.explanations import phrases
from harken.services.feed.explanations.comparing import Candidates
from harken.services.feed.explanations.facts import (
    WINDOWS,
    Affinity,
    Facts,
    StatedInterest,
    counted,
)
from harken.services.feed.explanations.phrases import OF_FAMILIES, PHRASES, WITHOUT, in_words, span
from harken.services.feed.explanations.reasons import HELD_BACK, RAISED, Part, reasons
from harken.services.readers.score_parts import PARTS

AGES = st.lists(st.floats(0, 1e8).map(round), min_size=1, max_size=40)
VALUES = st.lists(st.integers(-5, 5).map(lambda each: each / 4), min_size=1, max_size=30)
UNITS = {
    "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_629_800,
    "year": 31_557_600,
}  # fmt: skip


def compared(value, values):
    return Candidates(np.array(values, np.float64)).compare(value)


def passed_over(count, others):
    """Return the sentence of an item that was passed over so often, beside others."""
    values = -np.log1p(np.array([count, *others], np.float64))
    return PHRASES["passed_over"](Facts(passed=count), compared(values[0], values)).text


def part(name, values, at, weight=1.0, told_by=None):
    """Return the part of one of some candidates."""
    values = np.array(values, np.float64)
    median = float(np.median(values) * weight)
    beside = compared(float(values[at]), values)
    return Part(name, float(values[at]) * weight, median, told_by or name, beside)


def whom(text):
    """Return whom a sentence compares with."""
    [found] = re.findall(r"all others|the other one|nine in ten of the others|most others", text)
    return found


def exceeded(value, values, than):
    """Whether a value exceeds so many of the others as a sentence says."""
    others = len(values) - 1
    lower = sum(each < value for each in values)
    match than:
        case "all others" | "the other one":
            return lower == others and (others == 1) == (than == "the other one")
        case "nine in ten of the others":
            return 0.9 * others <= lower < others
        case _:
            return others / 2 < lower < 0.9 * others or lower >= 0.9 * others


@settings(deadline=None)
@given(ages=AGES)
def test_newer_than_most_is_said_exactly_of_what_is_younger_than_the_median(ages):
    values = [-math.log1p(age / 300) for age in ages]
    for at, age in enumerate(ages):
        found = [
            each
            for each in reasons([part("freshness", values, at)], Facts(age=age))
            if each.direction != "noted"
        ]
        if not found:
            assert abs(values[at] - np.median(values)) <= 1e-9
            continue
        [reason] = found
        is_newer = bool(values[at] > np.median(values))
        assert (reason.direction == RAISED) is is_newer
        assert reason.text.startswith("Newer" if is_newer else "Older")
        sides = [-each for each in ages] if is_newer else ages
        assert exceeded(sides[at], sides, whom(reason.text))
        assert reason.figures["age_seconds"] == age
        [(count, unit)] = re.findall(r": (\d+|less than a) (\w+?)s? old", reason.text)
        if count == "less than a":
            assert age < 60
        else:
            assert int(count) * UNITS[unit] <= age < (int(count) + 1) * UNITS[unit]


@settings(deadline=None)
@given(ages=AGES)
def test_most_is_more_than_half_of_the_others(ages):
    for age in ages:
        found = compared(age, np.array(ages, np.float64))
        if found.sign > 0:
            assert found.lower > 0.5
            assert exceeded(age, ages, found.than)
        elif found.sign < 0:
            assert found.higher > 0.5


@settings(deadline=None)
@given(
    ages=st.lists(st.floats(0, 2e6), max_size=20), median=st.floats(-1, 1), value=st.floats(-1, 1)
)
def test_people_are_so_many_within_the_window_that_is_said(ages, median, value):
    found = compared(value, np.array([value, median, median]))
    alike = ages[::2]
    facts = Facts(readers=ages, similar=alike)
    for name, of in (("recent_activity", ages), ("user_similarity", alike)):
        if not found.sign:
            continue
        phrase = PHRASES[name](facts, found)
        said = re.search(r"(\d+) (?:person|people)\b", phrase.text)
        if said is None:
            continue
        [window] = [seconds for seconds, words in WINDOWS.items() if words in phrase.text]
        assert int(said[1]) == sum(age <= window for age in of) == phrase.figures["people"]
        shorter = [each for each in WINDOWS if each < window]
        assert all(sum(age <= each for age in of) < 3 for each in shorter)
    if found.sign < 0:
        text = PHRASES["recent_activity"](facts, found).text
        assert ("nobody else" in text) is not any(age <= 604_800 for age in ages)
        text = PHRASES["user_similarity"](facts, found).text
        assert ("Nobody" in text) is (not ages)


@settings(deadline=None)
@given(values=VALUES, weights=st.lists(st.sampled_from([-2.0, -0.5, 0.5, 3.0]), min_size=3))
def test_what_raised_comes_first_and_each_group_by_size(values, weights):
    names = ["attention", "popularity", "trending"]
    parts = [
        part(name, np.roll(values, turn), 0, weight)
        for turn, (name, weight) in enumerate(zip(names, weights[:3], strict=True))
    ]
    found = reasons(parts, Facts())
    directions = [each.direction for each in found]
    assert directions == sorted(directions, key=[RAISED, HELD_BACK, "noted"].index)
    for direction, sign in ((RAISED, 1), (HELD_BACK, -1)):
        sizes = [each.figures["difference"] for each in found if each.direction == direction]
        assert all(sign * size > 0 for size in sizes)
        assert sizes == sorted(sizes, key=lambda each: -abs(each))
    shares = [each.figures["share"] for each in found if each.direction != "noted"]
    assert not shares or sum(shares) <= 1 + 1e-9
    for each in found:
        if each.direction == "noted":
            assert all(abs(one.difference) <= 1e-9 or not one.compared.sign for one in parts)
            continue
        is_more = each.figures["value"] > each.figures["median_value"]
        assert ("more" in each.text) is is_more


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(-4, 4).map(lambda each: each / 4), max_size=4),
    median=st.integers(-4, 4).map(lambda each: each / 4),
    kind=st.sampled_from(["tags", "authors", "folders", "sources", "layers", "principles"]),
)
def test_labels_that_are_named_are_liked_or_dismissed_as_is_said(labels, median, kind):
    named = [Affinity(f"n{at}", value) for at, value in enumerate(labels)]
    mean = float(np.mean(labels)) if labels else 0.0
    found = compared(mean, np.array([mean, median, median]))
    if not found.sign:
        return
    phrase = "followed_principles" if kind == "principles" else kind
    text = PHRASES[phrase](Facts(labels={kind: named}), found).text
    liked = {each.name for each in named if each.value > 0}
    disliked = {each.name for each in named if each.value < 0}
    said = set(re.findall(r"\bn\d\b", text))
    if text.startswith("You like its"):
        mixed, _, others = text.partition(", and dismissed")
        assert said
        assert set(re.findall(r"\bn\d\b", mixed)) <= liked
        assert set(re.findall(r"\bn\d\b", others)) <= disliked
    elif "which you did not do" in text:
        assert said
        assert not said & disliked
    elif text.startswith(("You dismissed notes", "You dislike its")) and said:
        assert said <= disliked
    elif text.startswith("You have shown no interest"):
        assert said
        assert not said & (liked | disliked)
    elif any(text.startswith(f"It {each}; ") for each in WITHOUT.values()):
        assert not labels
        assert ("you like" in text) is (median > 0)


def test_a_label_says_what_the_reader_thinks_of_it_and_of_the_others():
    def said(value, median, *labels):
        named = [Affinity(*each) for each in labels]
        found = compared(value, np.array([value, median, median]))
        return PHRASES["tags"](Facts(labels={"tags": named}), found).text

    assert said(0.5, 0.1, ("git", 0.5)) == "You like its tag git."
    assert said(0.2, 0.1, ("git", 0.5), ("sql", -0.1)) == "You like its tag git."
    assert said(0.1, 0.5, ("git", 0.1)) == (
        "You like its tag git, though less than the tags of all others."
    )
    assert said(-0.5, 0.1, ("git", -0.5)) == "You dismissed notes with its tag git."
    assert said(0.0, 0.1) == "It has no tag; you like the tags of all others."
    assert said(0.0, 0.1, ("git", 0.0)) == "You have shown no interest in its tag git yet."
    assert said(0.0, -0.1, ("git", 0.0)) == (
        "You dismissed notes with the tags of all others, which you did not do for its tag git."
    )
    assert said(0.0, -0.1) == "It has no tag; you dismissed notes with the tags of all others."


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tags", "with its tag git"), ("authors", "by its author git"),
        ("layers", "on its layer git"), ("folders", "in its folder git"),
        ("sources", "from its source git"),
        ("followed_principles", "that follow its principle git"),
    ],
)  # fmt: skip
def test_notes_are_with_a_tag_and_by_an_author(kind, words):
    of = "principles" if kind == "followed_principles" else kind
    found = compared(-0.5, np.array([-0.5, 0.1, 0.1]))
    facts = Facts(labels={of: [Affinity("git", -0.5)]})
    assert PHRASES[kind](facts, found).text == f"You dismissed notes {words}."


def test_a_note_is_not_said_to_be_close_to_itself():
    found = compared(0.5, np.array([0.5, 0.1, 0.1]))
    near = Facts(close_to="Roses")
    assert PHRASES["text"](near, found).text == (
        "Its text is close to that of “Roses”, which you liked."
    )
    near = Facts(close_to="Roses", is_namesake=True)
    assert PHRASES["text"](near, found).text == (
        "Its text is close to that of a note of the same title, which you liked."
    )


def test_common_readers_bring_a_note_closer_to_another():
    def said(value, median, **facts):
        found = compared(value, np.array([value, median, median]))
        return PHRASES[part_name](Facts(**facts), found).text

    part_name = "co_engagement"
    assert said(1.0, 0.5, common=2, latest="Roses") == (
        "2 people who read your latest, “Roses”, read this too."
    )
    assert said(0.0, 0.5, latest="Roses") == (
        "By who reads it, it is further from your latest, “Roses”, than all others."
    )
    assert said(1.0, 0.5) == "By who reads it, it is closer to your latest note than all others."
    part_name = "dismissed_similarity"
    assert (
        said(-1.0, -0.5) == "By who reads it, it is closer to what you dismissed than all others."
    )
    assert said(0.0, -0.5).startswith("By who reads it, it is further from what you dismissed")


def test_views_are_counted_in_words():
    for count, words in ((0, "Never viewed or engaged with, less"),
                         (1, "Viewed or engaged with once, less"),
                         (1_200, "Viewed or engaged with 1,200 times, less")):  # fmt: skip
        found = compared(count, np.array([count, 5_000, 6_000]))
        assert PHRASES["popularity"](Facts(), found).text == f"{words} often than all others."


def test_what_the_reader_set_is_said_by_its_name():
    stated = [StatedInterest("tags", "git", 1.0), StatedInterest("authors", "Bob", -1.0)]
    for value, words in (
        (1.0, "more like this: the tag git."),
        (-1.0, "less like this: the author"),
    ):
        found = compared(value, np.array([value, 0, 0]))
        assert words in PHRASES["stated_interests"](Facts(stated=stated), found).text
    removed = Facts(stated=[StatedInterest("tags", "git", 0.0)])
    found = compared(-1.0, np.array([-1.0, 0, 0]))
    assert "took this out of your interests: the tag git" in (
        PHRASES["stated_interests"](removed, found).text
    )


def test_every_part_of_the_personal_score_and_every_family_has_a_sentence():
    own = {"followed_principles" if name == "principles" else name for name in PARTS}
    assert own <= PHRASES.keys()
    assert OF_FAMILIES.keys() == FAMILIES.keys()
    for name, phrase in PHRASES.items():
        for value, median in ((1.0, 0.0), (0.0, 1.0)):
            text = phrase(Facts(principles=2), compared(value, np.array([value, median]))).text
            assert text[0].isupper() or text[0].isdigit(), name
            assert text.endswith(".")
            assert "  " not in text


def test_what_is_the_same_for_all_is_no_reason():
    alike = part("attention", [0.5, 0.5, 0.5], 0)
    [only] = reasons([alike], Facts())
    assert (only.direction, only.text) == ("noted", phrases.EQUAL.text)


def test_a_model_says_a_probability_where_it_has_one():
    likely = Part("engage", 1.0, 0.2, probability=0.123)
    [reason] = reasons([likely], Facts())
    assert reason.text == (
        "The model gives it a chance of 12% that you engage with it once you open it."
    )
    assert reason.figures["probability"] == 0.123
    [family] = reasons([Part("reader_habits", -1.0, 0.2)], Facts())
    assert family.text == (
        "The model itself puts it lower for how well it fits what you usually choose."
    )


def test_a_source_is_told_by_its_host_and_not_by_its_address():
    address = "rss:https://blog.example/feed?key=secret"
    liked = Affinity(address, 0.8)
    [reason] = reasons([part("sources", [0.8, 0.0, 0.0], 0)], Facts(labels={"sources": [liked]}))
    assert reason.text == "You like its source blog.example."
    assert in_words("sources", "rss:notes.xml") == "the source notes.xml"
    assert in_words("tags", "rss:x") == "the tag rss:x"


def test_the_same_sentence_is_not_said_twice():
    values = [1.0, 0.0, 0.0]
    twice = [
        part("user_similarity", values, 0),
        part("ranks", values, 0, told_by="user_similarity"),
    ]
    [joined] = reasons(twice, Facts())
    assert joined.figures["difference"] == 2.0
    # What goes against the value that the sentence speaks of is told by itself.
    against = twice[1]._replace(contribution=-3.0)
    said = [each.text for each in reasons([twice[0], against], Facts())]
    assert said == [
        "Nobody has read it yet, so nothing speaks against it there.",
        phrases.of_family("ranks", raised=False).text,
    ]


def test_the_notes_that_the_reader_came_to_since_it_appeared_are_counted():
    assert passed_over(0, [3, 5, 8]) == "You have read no other note since it appeared."
    assert passed_over(1, [3, 5, 8]) == (
        "Since it appeared, you have read 1 other note; for all others it was more."
    )
    assert passed_over(6, [3, 5, 8]) == (
        "Since it appeared, you have read 6 other notes; for most others it was fewer."
    )


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 40), min_size=2, max_size=30))
def test_what_was_passed_over_more_or_less_often_than_others_is_said_so(counts):
    for at, count in enumerate(counts):
        others = counts[:at] + counts[at + 1 :]
        text = passed_over(count, others)
        if count == np.median(counts):
            continue  # no reason is told
        if text == "You have read no other note since it appeared.":
            assert count == 0
            continue
        [(number, noun, how)] = re.findall(
            r"^Since it appeared, you have read (\d+) other (notes?); .* it was (more|fewer)\.$",
            text,
        )
        assert (int(number), noun == "note") == (count, count == 1)
        assert (how == "more") is bool(count < np.median(counts))
        sides = [-count, *(-each for each in others)] if how == "more" else [count, *others]
        assert exceeded(sides[0], sides, whom(text))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59, "less than a minute"), (60, "1 minute"), (7_200, "2 hours"), (86_400 * 13, "1 week")],
)
def test_spans(seconds, said):
    assert span(seconds) == said


def test_people_are_counted_in_the_shortest_window_that_says_enough():
    assert counted([10, 20, 30, 90_000]) == (3, 3_600)
    assert counted([10, 20, 4_000, 90_000]) == (3, 86_400)
    assert counted([10]) == (1, 3_600)
    assert counted([]) == (0, 604_800)
