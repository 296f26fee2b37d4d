"""When a source is asked again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.domain.stored_kblock import source_key, source_title
from harken.services.sources.subscription import (
    JITTER,
    LONGEST_PAUSE,
    LONGEST_WAIT,
    Subscription,
    pause_after,
    wait_asked,
)

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
EVERY = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30))
CHANCE = st.floats(0, 1)


@given(EVERY, st.integers(0, 1_000), CHANCE)
def test_pauses_double_up_to_a_day_and_differ_by_a_tenth(every, failures, chance):
    pause = pause_after(every, failures, chance)
    wanted = min(every * 2 ** min(failures, 20), max(every, LONGEST_PAUSE))
    assert abs(pause - wanted) <= wanted * JITTER + timedelta(microseconds=2)
    assert pause >= every * (1 - JITTER) - timedelta(microseconds=2)


@settings(max_examples=50)
@given(
    st.text(max_size=40)
    | st.text(st.characters(categories=["Nd", "No"]))
    | st.builds(
        "{}, {} {} {} {:02}:00:00 {}".format,
        st.sampled_from(["Thu", "x"]),
        st.integers(),
        st.sampled_from(["Jan", "Feb", "x"]),
        st.integers(),
        st.integers(0, 99),
        st.sampled_from(["GMT", "-9999", "+2400", "", "9" * 30]),
    )
)
def test_any_wish_to_wait_is_a_time_within_a_week(text):
    assert timedelta() <= wait_asked(text, NOW) <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("given_", "wait"),
    [
        (None, timedelta()), ("", timedelta()), ("120", timedelta(minutes=2)),
        (format_datetime(NOW + timedelta(hours=3), usegmt=True), timedelta(hours=3)),
        (format_datetime(NOW - timedelta(hours=3), usegmt=True), timedelta()),
        ("9" * 15, LONGEST_WAIT), ("9" * 40, LONGEST_WAIT), ("9" * 5_000, LONGEST_WAIT),
        ("²", timedelta()), ("soon", timedelta()),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(given_, wait):
    assert wait_asked(given_, NOW) == wait


def test_a_source_is_known_by_its_address_without_the_password():
    plain = Subscription("https://blog.example/feed.xml")
    secret = Subscription("https://ada:secret@blog.example/feed.xml")
    assert plain.source_id == secret.source_id == source_key("rss:https://blog.example/feed.xml")
    assert "secret" not in secret.name
    assert (plain.shown_title, source_title("markdown:notes")) == ("blog.example", "notes")
    assert source_title("rss:http://[") == "http://["
