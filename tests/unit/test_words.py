"""Texts of explanations, numbers and ages."""

from datetime import UTC, datetime, timedelta

import pytest

from harken.domain.slates import Contribution, Reason
from harken.protocols.pages.words import BAR_WIDTH, age, figure, why
from harken.services.readers.score_parts import PARTS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def signal(value, weight):
    return Contribution(value, weight, value * weight)


def reason(direction, text, share):
    return Reason("attention", direction, text, {"share": share})


def test_reasons_are_told_by_what_they_did_with_bars_of_their_shares():
    found = why(
        {"attention": signal(0.75, 0.4)},
        [reason("raised", "A.", 0.5), reason("held_back", "B.", 0.2), reason("noted", "C.", 0)],
    )
    assert [(each.text, each.share) for each in found.raised] == [("A.", 0.5)]
    assert [(each.text, each.width) for each in found.held_back] == [("B.", 0.2 * BAR_WIDTH)]
    assert found.notes == ["C."]


def test_bars_begin_at_zero_and_fill_the_width():
    found = why(
        {"attention": signal(0.5, 0.4), "coherence": signal(0.6, -1.0), "recency": signal(0, 1)},
        [],
    )
    helps, hurts, nothing = found.bars
    assert (hurts.start, hurts.start + hurts.width) == (0, found.zero)
    assert (helps.start, helps.start + helps.width) == (found.zero, BAR_WIDTH)
    assert hurts.width == pytest.approx(3 * helps.width)
    assert nothing.width == 0


def test_every_part_of_a_personal_score_has_its_own_name():
    found = why({name: signal(0.1, 1) for name in PARTS}, [])
    assert len({bar.meaning for bar in found.bars}) == len(PARTS)
    assert not any("its " + bar.name.lower() == bar.meaning for bar in found.bars)


def test_an_unknown_signal_has_its_name_as_text():
    [bar] = why({"own_score": signal(0.5, 1)}, []).bars
    assert (bar.name, bar.meaning) == ("Own score", "its own_score")


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
