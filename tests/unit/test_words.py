"""Texts of explanations, numbers and ages."""

from datetime import UTC, datetime, timedelta

import pytest

from harken.domain.feeds import RANKINGS
from harken.domain.slates import Contribution
from harken.protocols.pages.words import BAR_WIDTH, age, figure, why
from harken.services.readers.score_parts import PARTS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def signal(value, weight):
    return Contribution(value, weight, value * weight)


def test_the_largest_contributions_come_first_and_zeros_are_left_out():
    found = why(
        {
            "coherence": signal(0.97, 0.1), "attention": signal(0.75, 0.4),
            "recency": signal(0.02, 0.2), "principles": signal(0.5, -0.3),
        },
        0.251, RANKINGS["weighted"],
    )  # fmt: skip
    attention = "how much all readers engage with it (+0.30)"
    coherence = "how little is lost by restructuring it (+0.10)"
    principles = "how many of your principles it follows (\N{MINUS SIGN}0.15)"
    assert found.sentences == [
        f"Reasons for a higher position: {attention} and {coherence}.",
        f"Reasons for a lower position: {principles}.",
        "The sum of all signals is its score: 0.251.",
    ]


def test_bars_begin_at_zero_and_fill_the_width():
    found = why(
        {"attention": signal(0.5, 0.4), "coherence": signal(0.6, -1.0), "recency": signal(0, 1)},
        -0.4, RANKINGS["weighted"],
    )  # fmt: skip
    helps, hurts, nothing = found.bars
    assert (hurts.start, hurts.start + hurts.width) == (0, found.zero)
    assert (helps.start, helps.start + helps.width) == (found.zero, BAR_WIDTH)
    assert hurts.width == pytest.approx(3 * helps.width)
    assert nothing.width == 0


def test_a_chronological_order_has_one_sentence():
    found = why({"recency": signal(0.3, 1)}, 0.3, RANKINGS["chronological"])
    assert found.sentences == ["The newest notes come first. Nothing else counts in this order."]


def test_a_score_of_zero_is_explained():
    for parts in ({}, {"attention": signal(0, 0.4)}):
        found = why(parts, 0, RANKINGS["attention"])
        assert found.sentences[0].startswith("No signal ranks it")


def test_every_part_of_a_personal_score_has_its_own_text():
    parts = {name: signal(0.1, 1) for name in PARTS}
    found = why(parts, 1.1, RANKINGS["personal"])
    assert "logarithms" in found.sentences[-1]
    assert len({bar.meaning for bar in found.bars}) == len(PARTS)
    assert not any("its " + bar.name.lower() == bar.meaning for bar in found.bars)
    by_model = why({"base": signal(1, 1)}, 1, RANKINGS["learned"], by_model=True)
    assert (
        by_model.sentences[0]
        == "Reasons for a higher position: the model's score of any item (+1.00)."
    )
    assert not any("logarithms" in each for each in by_model.sentences)


def test_an_unknown_signal_has_its_name_as_text():
    found = why({"own_score": signal(0.5, 1)}, 0.5, RANKINGS["weighted"])
    assert found.sentences[0] == "Reasons for a higher position: its own_score (+0.50)."
    assert found.bars[0].name == "Own score"


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
