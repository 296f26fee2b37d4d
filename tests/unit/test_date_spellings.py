"""Dates as people write them: read without a guess, or not at all."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.times import EARLIEST_TIME, LATEST_TIME
from harken.services.kblocks.importers.date_spellings import date_in_name, read_date

MORNING = datetime(2023, 1, 2, 10, 11, 12, tzinfo=UTC)
_NO_TIMES: list[Any] = [
    "", "soon", "2019", "March 2019", "12:30", "4 Mar 19", "4 Mar", "2019-03", "now",
    "2 Jan 2023 10", "2 Jan 2023 13 pm", "2023-01-02T03:04:05+25:00", "2019-03-04 PST",
    "1" * 11, "-1", "1e9", "x" * 10_000, None, True, [], [[[[["2019-03-04"]]]]], {},
    time(3), float("nan"), float("inf"), 10**30,
]  # fmt: skip
DAY = datetime(2019, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2019-03-04", "2019-3-4", "2019/03/04", "2019.03.04", "20190304", " 2019-03-04 ",
        "March 4, 2019", "Mar 4 2019", "4 Mar 2019", "4 March, 2019", "4th of March 2019",
        "04-Mar-2019", "2019 Mar 4", "Monday, March 4th 2019", "Mon 4 Mar 2019", "mar. 4, 2019",
        "[[2019-03-04]]", "[[daily/2019-03-04|Monday]]", "[[2019-03-04.md]]", [["2019-03-04"]],
        ["2019-03-04", "2020-01-01"], "2019-W10-1", "2019-03-04T00:00", "2019-03-04 00:00:00+00:00",
        1551657600, "1551657600", "1551657600000", 1551657600.0, date(2019, 3, 4),
        datetime.fromisoformat("2019-03-04"), datetime(2019, 3, 4, tzinfo=UTC), "201903040000",
    ],
)  # fmt: skip
def test_a_day_in_many_spellings(written):
    assert read_date(written) == DAY


@pytest.mark.parametrize(
    "written",
    [
        "2023-01-02T10:11:12Z", "2023-01-02 10:11:12", "2023-01-02 05:11:12 -0500",
        "2023-01-02T10:11:12.000000000Z", "2023/1/2 10:11:12 UTC", "20230102101112",
        "Monday, January 2nd 2023, 10:11:12 am", "January 2, 2023 at 10:11:12 AM",
        "Mon, 02 Jan 2023 10:11:12 GMT", "Mon, 2 Jan 2023 11:11:12 +0100",
        "Mon Jan 02 2023 11:11:12 GMT+0100 (CET)", "2023-01-02T10:11:12+00:00",
    ],
)  # fmt: skip
def test_a_time_in_many_spellings(written):
    assert read_date(written) == MORNING


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("01/02/2023", "could be two days"),
        ("04.03.2019", "could be two days"),
        ("2019-02-30", "is not an existing day"),
        ("31/04/2019", "is not an existing day"),
        ("2019-03-04 25:00", "is not an existing day and time"),
        ("0000-00-00", "is not an existing day"),
        ("0001-01-01T00:00:00Z", "is a zero time"),
        ("0001-01-01T00:00:00-08:00", "is a zero time"),
        ("1970-01-01", "is a zero time"),
        ("0", "is a zero time"),
        (0, "is a zero time"),
        (datetime.fromisoformat("0001-01-01"), "is a zero time"),
        ("9999-12-31", "must be in the years 1000 to 2999"),
        ("9999-12-31T23:59:59-12:00", "must be in the years 1000 to 2999"),
        ("0999-12-31", "must be in the years 1000 to 2999"),
        ("{{date}}", "is a template"),
        ("<% tp.date.now() %>", "is a template"),
        *(
            (each, "must be a time such as")
            for each in _NO_TIMES
        ),
    ],
)  # fmt: skip
def test_what_is_no_date(written, why):
    with pytest.raises(ValueError, match=f"^{why}"):
        read_date(written)


def test_days_that_could_not_be_two():
    assert read_date("13/02/2023") == read_date("02/13/2023") == datetime(2023, 2, 13, tzinfo=UTC)
    assert read_date("5.5.2023") == datetime(2023, 5, 5, tzinfo=UTC)


AWARE = st.datetimes(
    EARLIEST_TIME.replace(tzinfo=None) + timedelta(days=1),
    LATEST_TIME.replace(tzinfo=None) - timedelta(days=1),
    timezones=st.just(UTC),
)


@given(AWARE)
def test_what_python_writes_is_read_back(at):
    for written in (at.isoformat(), at.isoformat(sep=" "), at, at.strftime("%d %B %Y %H:%M:%S.%f")):
        assert read_date(written) == at


@given(
    st.text() | st.text("0123456789-/.: TZ+ampJnFbr,[]", max_size=30) | st.integers() | st.floats()
    | st.datetimes() | st.datetimes(timezones=st.timezones()) | st.dates() | st.none()
)  # fmt: skip
def test_anything_is_a_time_in_the_range_or_refused(value):
    try:
        at = read_date(value)
    except ValueError:
        return
    assert EARLIEST_TIME <= at <= LATEST_TIME
    assert at.tzinfo is UTC


@given(st.text() | st.text("0123456789-_. T", max_size=20))
def test_a_name_has_a_date_of_these_centuries_or_none(stem):
    dated = date_in_name(stem)
    assert dated is None or (1900 <= dated.at.year <= 2100 and stem.endswith(dated.rest))
