"""Times that come in from outside: which ones are kept, and which ones mean "no time".

Every time that enters Harken lies from `EARLIEST_TIME` to `LATEST_TIME`, in UTC. The range leaves
room on both sides: a shift by an offset or by some centuries stays inside what `datetime` can hold,
and no driver meets an end of it (asyncpg turns `datetime.min` and `datetime.max` into infinities).
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

from harken.errors import InvalidInput, Problem

EARLIEST_TIME = datetime(1000, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

OUTSIDE = "must lie in the years 1000 to 2999, as UTC"

FORESIGHT = timedelta(days=1)
"""How far ahead of its arrival the date of an item may lie, and count as its date."""

_UNIX_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_ENDS_IN_SECONDS = (-62_135_596_800, 253_402_300_799)
_FIRST_DAY = datetime(1, 1, 2, tzinfo=UTC)  # within an offset of the start of year 1


class FutureItems(StrEnum):
    """What becomes of an item whose date lies more than `FORESIGHT` after its first arrival.

    Its date stays as it was given. Where it is shown, it counts as new as when it first arrived;
    where it is hidden, it comes into feeds at its date, and counts as made then.
    """

    SHOW = "show"
    HIDE = "hide"


def is_kept(at: datetime) -> bool:
    """Tell whether an aware time lies in the range that is kept."""
    # A comparison of aware times does not overflow, a conversion at the ends of `datetime` does.
    return EARLIEST_TIME <= at <= LATEST_TIME


def in_utc(at: datetime) -> datetime:
    """Return an aware time in UTC; raises ValueError outside the range that is kept."""
    if not is_kept(at):
        raise ValueError(OUTSIDE)
    return at.astimezone(UTC)


def checked(name: str, at: datetime) -> datetime:
    """Return a time in UTC; raises InvalidInput for the field `name` where it is not kept."""
    if at.tzinfo is None:
        raise InvalidInput(Problem(name, "needs its offset from UTC"))
    try:
        return in_utc(at)
    except ValueError as error:
        raise InvalidInput(Problem(name, str(error))) from None


def window(
    since: datetime | None, until: datetime | None, now: datetime, length: timedelta
) -> tuple[datetime, datetime]:
    """Return both ends of a window of time in UTC; else it ends now, and is so long.

    Raises InvalidInput for an end that is not kept.
    """
    end = checked("until", until or now)
    begin = max(EARLIEST_TIME, end - length) if since is None else checked("since", since)
    return begin, end


def is_zero_time(at: datetime) -> bool:
    """Tell whether a time stands for "no time": the zero of Go and .NET (year 1), or of Unix.

    Files hold it where a program wrote a time that nobody had set. Takes naive and aware times; a
    zero of year 1 counts whatever its offset.

    >>> is_zero_time(datetime(1, 1, 1)), is_zero_time(datetime(1970, 1, 1, tzinfo=UTC))
    (True, True)
    >>> is_zero_time(datetime(1970, 1, 1, 8, tzinfo=UTC))
    False
    """
    plain = at.replace(tzinfo=UTC)
    return plain <= _FIRST_DAY or (plain == _UNIX_ZERO and not at.utcoffset())


def is_end_in_seconds(value: float | Decimal) -> bool:
    """Tell whether a number is an end of `datetime` in seconds since 1970.

    Programs write these ends where nobody set a time, or where it never comes. By its size, such a
    number would be milliseconds of the years 1968 or 1978.
    """
    return value in _ENDS_IN_SECONDS


def _no_end_in_seconds(value: object) -> object:
    is_written = isinstance(value, str) and value.strip() in map(str, _ENDS_IN_SECONDS)
    if is_written or (isinstance(value, int | float) and is_end_in_seconds(value)):
        raise ValueError(OUTSIDE)
    return value


# As a number, seconds since 1970; what is too large for these are milliseconds.
_WRITTEN = {
    "anyOf": [
        {"type": "string", "format": "date-time", "pattern": "^[12][0-9]{3}-"},
        {"type": "number", "minimum": -30_610_224_000_000, "maximum": 32_503_679_999_999},
    ]
}
Time = Annotated[
    AwareDatetime,
    BeforeValidator(_no_end_in_seconds),
    AfterValidator(in_utc),
    WithJsonSchema(_WRITTEN, mode="validation"),
]
"""An aware time in the range that is kept; converted to UTC."""
