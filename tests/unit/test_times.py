"""Times that come in: the range that is kept, and what means that there is none."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.feedback import Interaction
from harken.domain.kblock import KBlock
from harken.domain.times import (
    EARLIEST_TIME,
    LATEST_TIME,
    in_utc,
    is_zero_time,
    window,
)
from harken.errors import InvalidInput

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
EVERY_TIME = st.datetimes(timezones=OFFSETS) | st.sampled_from(
    [EARLIEST_TIME, LATEST_TIME, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)


def is_kept(at: datetime) -> bool:
    # Without a conversion, which the ends of `datetime` do not allow.
    offset = at.utcoffset() or timedelta()
    naive = at.replace(tzinfo=None)
    return (
        EARLIEST_TIME.replace(tzinfo=None) + offset
        <= naive
        <= LATEST_TIME.replace(tzinfo=None) + offset
    )


@given(EVERY_TIME)
def test_a_time_is_kept_as_it_is_or_refused_with_what_would_be_right(at):
    fields = {"id": "k", "title": "K", "created_at": at.isoformat()}
    if is_kept(at):
        created = KBlock.parse(fields).created_at
        assert created is not None
        assert created == at == in_utc(at)
        assert created.utcoffset() == timedelta()
        return
    with pytest.raises(InvalidInput, match="created_at: must be in the years 1000 to 2999"):
        KBlock.parse(fields)


@given(EVERY_TIME, st.none() | EVERY_TIME)
def test_an_event_of_any_clock_has_a_time_or_is_refused(occurred_at, sent_at):
    received_at = datetime(2026, 3, 1, tzinfo=UTC)
    interaction = Interaction(
        user_id="u", kblock_id="k", action="view", occurred_at=occurred_at, sent_at=sent_at
    )
    if is_kept(occurred_at) and (sent_at is None or is_kept(sent_at)):
        at = occurred_at if sent_at is None else occurred_at + (received_at - sent_at)
        if datetime(1970, 1, 1, tzinfo=UTC) <= at <= received_at + timedelta(minutes=5):
            assert interaction.entry(received_at, "id").created_at == at
            return
    with pytest.raises(InvalidInput, match="five minutes from now"):
        interaction.entry(received_at, "id")


@pytest.mark.parametrize(
    ("text", "is_zero"),
    [
        ("0001-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00", True),
        ("0001-01-01T00:00:00+14:00", True),
        ("0001-01-01T23:59:59-14:00", True),
        ("1970-01-01T00:00:00Z", True),
        ("1970-01-01T01:00:00+01:00", False),
        ("1970-01-01T00:00:01Z", False),
        ("1000-01-01T00:00:00Z", False),
    ],
)
def test_zero_times(text, is_zero):
    assert is_zero_time(datetime.fromisoformat(text)) is is_zero


@given(st.none() | EVERY_TIME, st.none() | EVERY_TIME, EVERY_TIME.filter(is_kept))
def test_both_ends_of_a_window_are_kept(since, until, now):
    try:
        ends = window(since, until, now, timedelta(days=30))
    except InvalidInput:
        assert not all(at is None or is_kept(at) for at in (since, until))
    else:
        assert all(map(is_kept, ends))


@pytest.mark.parametrize(
    "number", [-62_135_596_800, -62_135_596_800.0, 253_402_300_799, "253402300799"]
)
def test_ends_of_time_in_seconds_are_no_milliseconds(number):
    event = {"user_id": "u", "kblock_id": "k", "action": "view", "occurred_at": number}
    with pytest.raises(InvalidInput, match="years 1000 to 2999"):
        KBlock.parse({"id": "k", "title": "K", "created_at": number})
    with pytest.raises(InvalidInput, match="years 1000 to 2999"):
        Interaction.parse(event)
