"""Dates as feeds of the wild write them."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.times import EARLIEST_TIME, LATEST_TIME
from harken.services.kblocks.importers.syndication.dates import read_date

TEN = datetime(2024, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Mon, 01 Jan 2024 10:00:00 GMT", 0),
        ("Mon, 01 Jan 2024 10:00:00 EST", 5),
        ("Mon, 01 Jan 2024 10:00:00 CET", -1),
        ("Mon, 01 Jul 2024 10:00:00 CEST", None),
        ("Mon, 01 Jan 2024 10:00:00 AEST", -10),
        ("Mon, 01 Jan 2024 10:00:00 JST", -9),
        ("Mon, 01 Jan 2024 10:00:00 ACST", -9.5),
        ("Mon, 01 Jan 2024 10:00:00 +0530", -5.5),
        ("Mon, 01 Jan 2024 10:00:00 +530", -5.5),
        ("Mon, 01 Jan 2024 10:00:00 -08", 8),
        ("Mon, 01 Jan 2024 10:00:00 GMT+01:00", -1),
        ("Mon, 01 Jan 2024 10:00:00 +0000 (UTC)", 0),
        ("Fri, 01 Jan 2024 10:00:00 +0000", 0),
        ("Mon, 01 Jan 24 10:00:00 +0000", 0),
        ("Mon,01 January 2024 10:00 Z", 0),
        ("1 jan 2024 10:00", 0),
        ("1-Jan-2024 10:00:00 UT", 0),
        ("Mon Jan  1 10:00:00 2024", 0),
        ("Mon Jan  1 10:00:00 PST 2024", 8),
        ("Mon Jan 01 10:00:00 +0100 2024", -1),
        ("Monday, January 1st, 2024 10:00 AM", 0),
        ("January 1, 2024 at 10:00 pm", 12),
        ("2024-01-01T10:00:00Z", 0),
        ("2024-01-01t10:00:00+01:00", -1),
        ("2024-01-01T10:00:00.123456789Z", None),
        ("2024-01-01 10:00:00 +0100", -1),
        ("2024/01/01 10:00", 0),
        ("20240101T100000Z", 0),
        ("1704103200", 0),
        ("1704103200000", 0),
        ("1704103200000000", 0),
        ("1704103200.0", 0),
        ("  2024-01-01T10:00:00Z\n", 0),
    ],
)  # fmt: skip
def test_dates_that_are_read(text, hours):
    at, remark = read_date(text)
    assert remark is None
    assert at is not None
    if hours is not None:
        assert at == TEN + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-02", datetime(2024, 2, 1, tzinfo=UTC)),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("01 Feb 2024", datetime(2024, 2, 1, tzinfo=UTC)),
        ("Mon, 01 Jan 2024 24:00:00 +0000", datetime(2024, 1, 2, tzinfo=UTC)),
        ("2024-12-31T24:00:00Z", datetime(2025, 1, 1, tzinfo=UTC)),
        ("Sun, 31 Dec 2023 23:59:60 GMT", datetime(2024, 1, 1, tzinfo=UTC)),
        ("01 Jan 99 00:00 GMT", datetime(1999, 1, 1, tzinfo=UTC)),
        ("12 Jan 2024 12:30 AM", datetime(2024, 1, 12, 0, 30, tzinfo=UTC)),
    ],
)
def test_days_and_odd_hours(text, at):
    assert read_date(text) == (at, None)


@pytest.mark.parametrize(
    "text",
    [
        "", "never", "lun., 01 janv. 2024 10:00:00 +0100", "01/02/2024 10:00 AM", "31 Feb 2024",
        "0000-00-00 00:00:00", "0200-01-01", "Mon, 01 Jan 200 10:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +0000", "Mon, 01 Jan 0001 00:00:00 +0500", "1970-01-01",
        "Mon, 01 Jan 2024 10:00:00 +9999", "2024-01-01T10:00:00+25:00", "253402300799",
        "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 12024 23:59:59 GMT",
        "2024-13-01", "2024-01-01T25:00:00Z", "2024-01-01T10:60:00Z", "2024-01-01T24:00:01Z",
        "2024-01-01T10:00:00+99:00", "Mon, 01 Jan 2024 13:00 PM", "\u0662\u0660\u0662\u0664",
    ],
)  # fmt: skip
def test_dates_that_cannot_be_read_are_remarked(text):
    at, remark = read_date(text)
    assert at is None
    assert remark


def test_a_zone_that_is_not_clear_is_remarked():
    at, remark = read_date("Mon, 01 Jan 2024 10:00:00 IST")
    assert at == TEN
    assert remark is not None
    assert "the zone IST is unknown or ambiguous; read as UTC" in remark


def zones() -> st.SearchStrategy[timezone]:
    return st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@given(
    st.timedeltas(timedelta(days=400), timedelta(days=370_000)),
    zones(),
    st.sampled_from(["iso", "rfc", "epoch"]),
)
def test_every_time_is_read_as_it_was_written(since, zone, how):
    at = (datetime(1970, 1, 1, tzinfo=UTC) + since).astimezone(zone).replace(microsecond=0)
    if how == "iso":
        text = at.isoformat()
    elif how == "rfc":
        text = format_datetime(at)
    else:
        text = f"{at.timestamp():.0f}"
        if len(text) < 9 or at.timestamp() >= 1e11:
            return
    assert read_date(text) == (at, None)


@given(
    st.one_of(
        st.text(max_size=300),
        st.text("0123456789:-+/., TZJanMonCET()", max_size=60),
        st.from_regex(
            r"\d{1,5}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d\d(:\d\d)?([+-]\d\d:?\d\d|[A-Z]{0,5})"
        ),
    )
)
def test_anything_is_a_time_of_the_range_or_remarked(text):
    at, remark = read_date(text)
    assert remark if at is None else EARLIEST_TIME <= at <= LATEST_TIME
