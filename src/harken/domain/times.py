"""The range of times that Harken stores, and values that mean "no time".

Every time in Harken is from `EARLIEST_TIME` to `LATEST_TIME`, in UTC. The range leaves room on both
sides: a shift by an offset or by some centuries does not leave the range of `datetime`, and no
driver gets the ends of that range (asyncpg turns `datetime.min` and `datetime.max` into infinity).
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

from harken.errors import InvalidInput, Problem

EARLIEST_TIME = datetime(1000, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

OUTSIDE = "must be in the years 1000 to 2999, as UTC"

FORESIGHT = timedelta(days=1)
"""How far after an item's arrival its date may be, to be used as its date in rankings."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_ENDS_IN_SECONDS = (-62_135_596_800, 253_402_300_799)
_FIRST_DAY = datetime(1, 1, 2, tzinfo=UTC)  # within an offset of the start of year 1


class FutureItems(StrEnum):
    """How an item is treated whose date is more than `FORESIGHT` after its first arrival.

    The stored date does not change. With SHOW, rankings use the time of its first arrival instead
    of its date. With HIDE, it appears in feeds from its date on, and rankings use its date.
    """

    SHOW = "show"
    HIDE = "hide"


def micros(at: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (at.astimezone(UTC) - EPOCH) // MICROSECOND


def from_micros(number: int) -> datetime:
    """Return the time, in UTC, that lies so many microseconds after 1970 begins."""
    return EPOCH + number * MICROSECOND


def iso_utc(at: datetime) -> str:
    """Return a UTC time as ISO 8601, with Z for its offset."""
    return at.isoformat().replace("+00:00", "Z")


def is_kept(at: datetime) -> bool:
    """Tell whether an aware time is in the range that Harken stores."""
    # Comparing aware times cannot overflow; converting one at the ends of `datetime` can.
    return EARLIEST_TIME <= at <= LATEST_TIME


def in_utc(at: datetime) -> datetime:
    """Return an aware time in UTC; raises ValueError outside the range that Harken stores."""
    if not is_kept(at):
        raise ValueError(OUTSIDE)
    return at.astimezone(UTC)


def checked(name: str, at: datetime) -> datetime:
    """Return a time in UTC; raises InvalidInput for the field `name` if it is naive or too far."""
    if at.tzinfo is None:
        raise InvalidInput(Problem(name, "needs its offset from UTC"))
    try:
        return in_utc(at)
    except ValueError as error:
        raise InvalidInput(Problem(name, str(error))) from None


def window(
    since: datetime | None, until: datetime | None, now: datetime, length: timedelta
) -> tuple[datetime, datetime]:
    """Return begin and end of a window of time, in UTC.

    Without `until` it ends at `now`; without `since` it begins `length` before its end. Raises
    InvalidInput for an end that is naive or outside the range that Harken stores.
    """
    end = checked("until", until or now)
    begin = max(EARLIEST_TIME, end - length) if since is None else checked("since", since)
    return begin, end


def is_zero_time(at: datetime) -> bool:
    """Tell whether a time means "no time": the zero value of Go and .NET (year 1), or of Unix.

    Programs write it for times that were never set. Takes naive and aware times. A zero of year 1
    is recognised with any offset.

    >>> is_zero_time(datetime(1, 1, 1)), is_zero_time(datetime(1970, 1, 1, tzinfo=UTC))
    (True, True)
    >>> is_zero_time(datetime(1970, 1, 1, 8, tzinfo=UTC))
    False
    """
    plain = at.replace(tzinfo=UTC)
    return plain <= _FIRST_DAY or (plain == EPOCH and not at.utcoffset())


def is_end_in_seconds(value: float | Decimal) -> bool:
    """Tell whether a number is an end of `datetime` in seconds since 1970.

    Programs write these ends where nobody set a time, or where it never comes. By its size, such a
    number would be milliseconds of the years 1968 or 1978.
    """
    return value in _ENDS_IN_SECONDS


def _number(value: object) -> float:
    """Return a number, as JSON or in a query; 0 for what is none."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return 0.0
    return value if isinstance(value, int | float) else 0.0


def _no_end_in_seconds(value: object) -> object:
    is_written = isinstance(value, str) and value.strip() in map(str, _ENDS_IN_SECONDS)
    if is_written or (isinstance(value, int | float) and is_end_in_seconds(value)):
        raise ValueError(OUTSIDE)
    # A fraction of a millisecond beyond the range would be rounded into it.
    if not _LEAST_NUMBER <= _number(value) <= _GREATEST_NUMBER:
        raise ValueError(OUTSIDE)
    return value


# Numbers are seconds since 1970; numbers too large for that are milliseconds.
_LEAST_NUMBER, _GREATEST_NUMBER = -30_610_224_000_000, 32_503_679_999_999
_WRITTEN = {
    "anyOf": [
        {"type": "string", "format": "date-time", "pattern": "^[12][0-9]{3}-"},
        {"type": "number", "minimum": _LEAST_NUMBER, "maximum": _GREATEST_NUMBER},
    ]
}
Time = Annotated[
    AwareDatetime,
    BeforeValidator(_no_end_in_seconds),
    AfterValidator(in_utc),
    WithJsonSchema(_WRITTEN, mode="validation"),
]
"""An aware time in the range that Harken stores, converted to UTC."""

_REPORTED = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "number", "minimum": _LEAST_NUMBER, "maximum": _GREATEST_NUMBER},
    ]
}
ReportedTime = Annotated[
    AwareDatetime,
    BeforeValidator(_no_end_in_seconds),
    WithJsonSchema(_REPORTED, mode="validation"),
]
"""An aware time of any year; whoever takes it checks its range, with a message of their own."""
