"""Why, and how long ago, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from harken.domain.feeds import RANKINGS
from harken.domain.slates import Contribution
from harken.protocols.pages.words import BAR_WIDTH, age, figure, why
from harken.services.readers.score_parts import PARTS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def signal(value, weight):
    return Contribution(value, weight, value * weight)


def test_what_weighs_most_is_said_first_and_what_is_nothing_is_not_said():
    told = why(
        {
            "coherence": signal(0.97, 0.1), "attention": signal(0.75, 0.4),
            "recency": signal(0.02, 0.2), "principles": signal(0.5, -0.3),
        },
        0.251, RANKINGS["weighted"],
    )  # fmt: skip
    helps = "what readers did with it (+0.30) and how little of it is lost by restructuring (+0.10)"
    assert told.sentences == [
        f"For it: {helps}.",
        "Against it: how well it goes with your principles (\N{MINUS SIGN}0.15).",
        "Together that makes a score of 0.251.",
    ]


def test_bars_begin_at_nothing_and_fill_the_width():
    told = why(
        {"attention": signal(0.5, 0.4), "coherence": signal(0.6, -1.0), "recency": signal(0, 1)},
        -0.4, RANKINGS["weighted"],
    )  # fmt: skip
    helps, hurts, nothing = told.bars
    assert (hurts.start, hurts.start + hurts.width) == (0, told.zero)
    assert (helps.start, helps.start + helps.width) == (told.zero, BAR_WIDTH)
    assert hurts.width == pytest.approx(3 * helps.width)
    assert nothing.width == 0


def test_an_order_by_time_has_no_other_reason():
    told = why({"recency": signal(0.3, 1)}, 0.3, RANKINGS["chronological"])
    assert told.sentences == ["The newest come first. Nothing else counts in this order."]


def test_a_score_of_nothing_is_explained_too():
    for parts in ({}, {"attention": signal(0, 0.4)}):
        told = why(parts, 0, RANKINGS["attention"])
        assert told.sentences[0].startswith("Nothing speaks for it")


def test_every_part_of_a_personal_order_has_words_of_its_own():
    parts = {name: signal(0.1, 1) for name in PARTS}
    told = why(parts, 1.1, RANKINGS["personal"])
    assert "logarithms" in told.sentences[-1]
    assert len({bar.meaning for bar in told.bars}) == len(PARTS)
    assert not any("its " + bar.name.lower() == bar.meaning for bar in told.bars)
    by_model = why({"base": signal(1, 1)}, 1, RANKINGS["learned"], by_model=True)
    assert by_model.sentences[0] == "For it: the model's score of any item (+1.00)."
    assert not any("logarithms" in each for each in by_model.sentences)


def test_a_signal_of_a_programs_own_is_named():
    told = why({"own_score": signal(0.5, 1)}, 0.5, RANKINGS["weighted"])
    assert told.sentences[0] == "For it: its own_score (+0.50)."
    assert told.bars[0].name == "Own score"


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=13), "1 week ago"),
        (timedelta(days=45), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(hours=-3), "in 3 hours"),
    ],
)
def test_ages_are_said_in_the_largest_unit(ago, said):
    assert age(NOW - ago, NOW) == said


def test_figures_have_a_minus_and_no_minus_nothing():
    assert figure(-0.0001, 3) == "0.000"
    assert figure(-1234.5, 1) == "\N{MINUS SIGN}1,234.5"
    assert figure(0.25, sign="+") == "+0.25"
